"""``python tests/stripe_double --port 4242``: the double as its own process."""

import argparse
import sys
import threading
from pathlib import Path

if not __package__:  # started by path: make the package importable under its name
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = "stripe_double"

from stripe_double import StripeDouble  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description="A double of Stripe's API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4242)
    parser.add_argument("--now", type=int, help="start of the clock (default: now)")
    parser.add_argument("--ticking", action="store_true", help="let the clock run")
    parser.add_argument("--deliver", choices=("auto", "manual"), default="auto")
    parser.add_argument("--no-check", action="store_true", help="skip the contract")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bulk", type=int, help="begin with so many invoices")
    parser.add_argument("--latency", type=int, help="milliseconds of each answer")
    options = parser.parse_args()
    double = StripeDouble(
        options.port,
        options.host,
        now=options.now,
        ticking=options.ticking,
        deliver=options.deliver,
        strict=not options.no_check,
        seed=options.seed,
    ).start()
    if options.bulk:
        double.fill(options.bulk)
    if options.latency:
        double.disturb("latency", probability=1, seconds=options.latency / 1000)
    sys.stdout.write(f"Stripe double on {double.url}\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        double.stop()


main()
