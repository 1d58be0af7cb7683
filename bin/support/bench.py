"""The work of bin/bench: which benches there are, and what they have in common."""

import argparse
import importlib
import json
import os
import platform
from pathlib import Path

from .say import fail

# Name -> what it measures. The code is in bench_<name>.py: `arguments(parser)` adds
# options, `measure(options)` prints a table and returns the figures as a dict.
BENCHES = {
    "sync": "reading a history from Stripe, and events from webhook to commission",
    "tracking": "visits by our links against Odoo's link_tracker, and /web/health",
    "webhook": "our webhook against that of Odoo's payment_stripe, and /web/health",
}


def main(arguments):
    listing = "\n".join(f"  {name:10} {what}" for name, what in BENCHES.items())
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"bin/bench NAME [options]; NAME is one of:\n{listing}")
        return 0 if arguments else 2
    name = arguments[0]
    if name not in BENCHES:
        fail(f"there is no bench {name!r}; there are:\n{listing}")
    bench = importlib.import_module(f"{__package__}.bench_{name}")
    parser = argparse.ArgumentParser(
        prog=f"bin/bench {name}",
        description=bench.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.arguments(parser)
    load = os.getloadavg()
    figures = bench.measure(parser.parse_args(arguments[1:]))
    figures["machine"] = {**machine(), "load_before": load[0], **figures["machine"]}
    print(json.dumps({"bench": name, **figures}), flush=True)
    return 0


def machine():
    """What the figures depend on, and nothing that names the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": models[0] if models else platform.processor(),
        "memory_gb": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
        ),
        "system": platform.platform(terse=True),
    }


def table(headings, rows):
    """Print rows of text and numbers under their headings."""
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(headings, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    for line in (headings, ["-" * width for width in widths], *cells):
        first, *others = zip(line, widths, strict=True)
        print(
            first[0].ljust(first[1]),
            *(text.rjust(width) for text, width in others),
            sep="  ",
        )


def _cell(value):
    return f"{value:.1f}" if isinstance(value, float) else str(value)
