"""The sync engine seen from outside: what it does in a running server's database, and
what may be done to it. Used by the bench and by the chaos tests."""

import os
import subprocess
import threading
import time
from pathlib import Path

from .bench_server import inside_odoo
from .say import fail

INSIDE = Path(__file__).with_name("bench_sync_odoo.py")
START_READING = """insert into ir_cron_trigger (cron_id, call_at)
    select res_id, now() at time zone 'UTC' from ir_model_data
     where module = 'affiliate_stripe' and name = 'ir_cron_sync'"""
READING = "select count(*) from affiliate_stripe_run where state = 'running'"
PENDING = "select count(*) from affiliate_stripe_event where state = 'pending'"
RUNNING = """with free as (select id from ir_cron for update skip locked)
    select count(*) from ir_cron where id not in (select id from free)"""
# What a killed worker has leased is free again after minutes. We do not wait for that.
LEASES = ("affiliate_stripe_event", "affiliate_stripe_run_part")


def inside(ground, database, do, keep=None, **arguments):
    """Run a function of bench_sync_odoo.py; its result. `keep`: a folder for files."""
    return inside_odoo(ground, database, INSIDE, keep, do=do, **arguments)


def query(server, text):
    return server.ground.postgres.query(text, server.database)


def ask(server, text):
    """The one number a query answers."""
    return float(query(server, text)[0])


def is_reading(server):
    return ask(server, READING)


def start_reading(server):
    """Let the cron begin, as its trigger does."""
    query(server, START_READING)
    notify(server)


def notify(server):
    server.ground.postgres.query(f"notify cron_trigger, '{server.database}'")


def expire_leases(server):
    for name in LEASES:
        query(
            server, f"update {name} set leased_until = null where leased_until > now()"
        )


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"nothing happened for {seconds} seconds.")
        time.sleep(0.5)  # each question is a process, on the same processors


def mirrored(server):
    """How many objects the mirror holds that lists have given."""
    parts = ("affiliate_stripe_invoice_line", "affiliate_stripe_invoice_payment")
    return sum(count for name, count in mirror(server).items() if name not in parts)


def mirror(server):
    """{table: rows} of the mirror."""
    names = query(
        server,
        """select table_name from information_schema.columns
            where column_name = 'synced_at' and table_name like 'affiliate_stripe_%'""",
    )
    return {name: int(ask(server, f"select count(*) from {name}")) for name in names}


def snapshot(server):
    """What must be the same whichever way it was read."""
    (ledger,) = query(
        server,
        """select count(*) || ' ' || sum(amount) || ' ' || md5(string_agg(line, ','))
             from (select sum(amount) as amount, concat_ws(' ', line_ref, affiliate_id,
                          currency_id, cause_id, sum(amount)) as line
                     from affiliate_commission
                 group by line_ref, affiliate_id, currency_id, cause_id
                   having sum(amount) != 0
                 order by line_ref, affiliate_id, currency_id, cause_id) sums""",
    )
    return {**mirror(server), "the ledger": ledger}


def counters(server):
    """(rows written to the database, bytes written to the write-ahead log)."""
    time.sleep(1.5)  # counters are a little late
    (line,) = query(
        server,
        """select tup_inserted + tup_updated + tup_deleted,
                  pg_current_wal_lsn() - '0/0'::pg_lsn
             from pg_stat_database where datname = current_database()""",
    )
    return tuple(map(int, line.split("|")))


def busiest(server):
    """The worker that has used most of the processor in the last second."""
    before = server.workers()
    time.sleep(1)
    used = {pid: now - before.get(pid, 0) for pid, now in server.workers().items()}
    return max(used, key=used.get)


def run_script(server, script):
    postgres = server.ground.postgres
    command = [postgres.programs / "psql", "-Xq", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(
        [*map(str, command), "-d", server.database, "-f", str(script)],
        env=dict(os.environ, **postgres.environ()),
        stdout=subprocess.DEVNULL,
        check=True,
    )


class Memory:
    """The memory of a server's processes, looked at while the block runs."""

    def __init__(self, server):
        self.server, self.peak, self.tree = server, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.over.set()
        self.thread.join()

    def _watch(self):
        while not self.over.wait(1):
            resident = [megabytes(pid) for pid in self.server.workers()]
            self.peak = max(self.peak, *resident, 0)
            self.tree = max(self.tree, sum(resident))


def megabytes(pid):
    """Resident memory of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
