"""The double itself: worlds, clock, keys, hooks, chaos and the HTTP server."""

import os
import sys
import threading
import traceback
from collections import deque

import stripe

from . import http_control
from . import resources as resources  # registers the routes
from .app import App
from .chaos import Chaos
from .control import Control
from .dates import Clock
from .keys import Keyring
from .server import serve
from .webhooks import Hooks
from .world import World

ACCOUNT = "acct_1StripeDouble000"


class StripeDouble(Control):
    """A Stripe to talk to over HTTP. Use as a context manager or start()/stop().

    ``now``      where the clock stands (default: the real time), ``ticking``: it runs
    ``deliver``  ``"manual"``: the test sends webhooks; ``"auto"``: a thread does
    ``strict``   check every object against the package's annotations when it changes
    ``seed``     makes ids and chaos repeatable
    """

    def __init__(
        self,
        port=0,
        host="127.0.0.1",
        *,
        now=None,
        ticking=False,
        deliver="manual",
        strict=True,
        seed=0,
        api_version=stripe.api_version,
        timezone="Etc/UTC",
    ):
        self.host, self.port = host, port
        self.start_at, self.ticking = now, ticking
        self.strict = strict
        self.seed = seed
        self.default_api_version = api_version
        self.default_timezone = timezone
        self.lock = threading.RLock()
        self.server = None
        self.app = App(self)
        self.chaos = Chaos(seed)
        self.hooks = Hooks(self, deliver)
        self.reset()

    def reset(self):
        """Back to an empty account; the server and its address stay."""
        with self.lock:
            self.clock = Clock(self.start_at, self.ticking)
            self.worlds = {}
            self.keys = Keyring(ACCOUNT)
            self.chaos.clear()
            self.hooks.clear()
            self.requests = deque(maxlen=100_000)
            self.faults = []
            self.quiet = False
            self.check_answers = False
            self.api_version = self.default_api_version
            self.minimum_charges = False
            self.allow_http_live = True
            self.debits_booked = "made"
            self.dunning_end = "cancel"
            self.timezone = self.default_timezone
            self.payment_records = False
            self.refunds_without_charge = False
            self.refund_status_at_creation = "succeeded"

    # -- server

    def start(self):
        if self.server is None:
            self.server = serve(self, self.host, self.port)
            self.port = self.server.server_address[1]
        return self

    def stop(self):
        """Off the network, also for open connections: an outage. The state stays,
        and :meth:`start` brings it back on the same address."""
        if self.server is not None:
            self.server.shutdown()
            self.server.close_all()
            self.server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def url(self):
        """The base address for ``base_addresses={"api": …}``."""
        return f"http://{self.host}:{self.port}"

    def client(self, key="sk_test_double", **options):
        """The real package's client, pointed at this double."""
        return stripe.StripeClient(key, base_addresses={"api": self.url}, **options)

    def control(self, method, target, body):
        return http_control.answer(self, method, target, body)

    # -- state

    def world(self, account=None, livemode=False):
        """The world of an account and mode; made when first asked for."""
        account = account or ACCOUNT
        with self.lock:
            key = (account, livemode)
            if key not in self.worlds:
                self.worlds[key] = World(self, account, livemode, self.seed)
            return self.worlds[key]

    def accounts(self):
        """Accounts that exist: our own and those of registered keys."""
        return {ACCOUNT, *(key.account for key in self.keys.keys.values())}

    def log(self, request):
        self.requests.append(request)

    def fault(self, error):
        """A fault of the double itself: kept for the test to see."""
        text = "".join(traceback.format_exception(error))
        self.faults.append(text)
        if os.environ.get("STRIPE_DOUBLE_DEBUG"):
            sys.stderr.write(text)
