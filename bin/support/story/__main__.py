"""python -m support.story: see bin/support/demo.py, which calls it."""

import argparse
import sys
from pathlib import Path

from ..paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests"))  # the Stripe double

from stripe import StripeError  # noqa: E402
from stripe_double import ControlError  # noqa: E402

from .chapters import Story  # noqa: E402
from .tell import Broken, Teller  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    for name in (
        "odoo",
        "stripe",
        "site",
        "database",
        "config",
        "manager",
        "affiliate",
    ):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--mail", type=Path, required=True)
    options = parser.parse_args()
    tell = Teller()
    try:
        Story(tell, options).play()
    except (Broken, ControlError, StripeError) as problem:
        tell.broke(problem)
        return 2
    return tell.end()


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
