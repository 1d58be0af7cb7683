"""A stateful double of Stripe's API for tests, demo and benchmark.

It speaks HTTP, so the module under test uses the real ``stripe`` package against it.
What it accepts and answers is checked against the annotations of that package (see
``contract.py`` and ``params.py``). Start with ``StripeDouble`` (in the process) or
``python tests/stripe_double --port 4242`` and ``DoubleClient`` (its own process).
"""

from .double import ACCOUNT, StripeDouble
from .remote import ControlError, DoubleClient
from .shop import Shop

__all__ = ["ACCOUNT", "ControlError", "DoubleClient", "Shop", "StripeDouble"]
