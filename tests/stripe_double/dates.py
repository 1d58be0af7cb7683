"""The clock of the double, and calendar arithmetic in UTC.

Everything the double stamps (``created``, periods, ``paid_at``) comes from this
clock; only webhook signatures use the real one, because their receiver does.
"""

import calendar
import time
from datetime import datetime, timezone

DAY = 86400


def add_months(stamp, months, anchor_day=None):
    """Calendar months later; day 31 is clamped to the month's last day.

    ``anchor_day`` brings a clamped day back: 31 Jan, 28 Feb, 31 Mar.
    """
    moment = datetime.fromtimestamp(stamp, timezone.utc)
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    last = calendar.monthrange(year, month)[1]
    day = min(anchor_day or moment.day, last)
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def add_interval(stamp, interval, count, anchor=None):
    """One billing interval later, keeping the day of the ``anchor`` stamp."""
    anchor_day = datetime.fromtimestamp(anchor, timezone.utc).day if anchor else None
    if interval == "day":
        return stamp + DAY * count
    if interval == "week":
        return stamp + 7 * DAY * count
    months = count if interval == "month" else 12 * count
    return add_months(stamp, months, anchor_day)


class Clock:
    """Frozen at ``start`` (or at the real time of the start) until it is moved.

    With ``ticking`` it goes on with the real time, for a demo somebody looks at.
    """

    def __init__(self, start=None, ticking=False):
        self.base = int(time.time() if start is None else start)
        self.origin = time.monotonic() if ticking else None

    def now(self):
        if self.origin is None:
            return self.base
        return self.base + int(time.monotonic() - self.origin)

    def set(self, stamp):
        if stamp < self.now():
            raise ValueError("the clock does not run backwards")
        self.base = int(stamp)
        if self.origin is not None:
            self.origin = time.monotonic()
