"""How fast we may call: slots that all workers of a Stripe account share."""

import threading
import time


class Pace:
    """Hands out moments to call at. Thread-safe.

    :param reserve: ``f(calls)``: takes that many slots from what all workers share and
        returns the seconds until the first (negative: it has passed)
    :param float interval: seconds between two slots
    """

    # Slots taken at once: fewer questions, and few of them wasted.
    SLOTS = 4

    def __init__(self, reserve, interval):
        self._reserve, self._interval = reserve, interval
        self._lock = threading.Lock()
        self._slots = []

    def wait(self):
        """Sleep until the next call may be made."""
        with self._lock:
            if not self._slots:
                first = time.monotonic() + self._reserve(self.SLOTS)
                self._slots = [first + i * self._interval for i in range(self.SLOTS)]
            slot = self._slots.pop(0)
        delay = slot - time.monotonic()
        if delay > 0:
            time.sleep(delay)
