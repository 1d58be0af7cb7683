"""dj-stripe for a bench: an environment and a database of its own, behind gunicorn."""

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .bench_server import free_ports, stop
from .paths import locked
from .postgres import Postgres
from .python_env import ensure_environment
from .say import run
from .testing import new_log

DJANGO = Path(__file__).with_name("bench_djstripe_django.py")
# As many as Odoo has for HTTP; dj-stripe does all its work in them.
WORKERS = 2
# Invoices that are there as they are in Stripe, with all their lines.
STORED = """select invoice.id
    from djstripe_invoice invoice
    join djstripe_lineitem line on line.stripe_data->>'invoice' = invoice.id
   where invoice.stripe_data->>'status' = 'paid'
   group by invoice.djstripe_id
  having count(*) = jsonb_array_length(invoice.stripe_data->'lines'->'data')"""


@dataclass
class Site:
    """A running Django with dj-stripe."""

    postgres: Postgres
    database: str
    port: int

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stored(self):
        """The ids of the paid invoices in its database."""
        return set(self.postgres.query(STORED, self.database))


@contextmanager
def djstripe_site(ground, database, stripe):
    """Run dj-stripe on a new database while the block runs; gives a `Site`.

    :param stripe: the address of the double, whose endpoint it becomes
    """
    with locked(ground.cache, "provision"):
        python = ensure_environment(ground.cache, "python-djstripe")
    site = Site(ground.postgres, database, free_ports(1)[0])
    asked = {"database": database, "stripe": stripe, "site": site.url}
    environ = {
        **os.environ,
        **ground.postgres.environ(),
        "DJSTRIPE_BENCH": json.dumps(asked),
        "DJANGO_SETTINGS_MODULE": DJANGO.stem,
        "PYTHONPATH": str(DJANGO.parent),
        "PYTHONPYCACHEPREFIX": str(ground.cache / "pycache"),
    }
    log = new_log(ground.cache / "log", database)
    ground.postgres.query(f'create database "{database}"')
    try:
        run("preparing dj-stripe", [python, DJANGO], log, env=environ, cwd="/")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    *(python, "-m", "gunicorn", "--workers", str(WORKERS)),
                    *("--bind", f"127.0.0.1:{site.port}"),
                    "django.core.wsgi:get_wsgi_application()",
                ],
                env=environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its workers can be ended with it
            )
        try:
            yield site
        finally:
            stop(process)
    finally:
        ground.postgres.drop(database)
