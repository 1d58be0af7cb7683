"""Events from the webhook to the ledger; and the same events with dj-stripe."""

import json
import re
import statistics
import tempfile
import time
from pathlib import Path

from .bench_engine import (
    PENDING,
    RUNNING,
    ask,
    counters,
    inside,
    query,
    run_script,
    wait_for,
)
from .bench_stripe import post_all, raw_request, renewals
from .say import fail


class Live:
    """Events from the webhook to the ledger, after a backfill."""

    def __init__(self, bench, server):
        self.bench, self.server, self.note = bench, server, bench.note
        self.events = bench.options.events

    def measure(self):
        self.flood(50)  # warm up
        before = counters(self.server)
        rate, lag = self.flood(self.events)
        rows, wal = (
            (after - first) / self.events
            for first, after in zip(before, counters(self.server), strict=True)
        )
        self.note("live, 0ms", "live_per_s_0ms", rate, "events/s")
        self.note("rows written an event", "rows_per_event", rows)
        self.note("write-ahead log an event", "wal_kb_per_event", wal / 1024, "kB")
        self.bench.latency(100)
        self.note(
            "live, 100ms", "live_per_s_100ms", self.flood(self.events)[0], "events/s"
        )
        self.bench.latency(0)
        paced = min(self.events, round(rate * 6))
        self.note("queue lag p95", "lag_p95_s", self.flood(paced, rate * 0.6)[1], "s")
        self.workers(2)
        twice, _lag = self.flood(self.events)
        self.note("live, 0ms, 2 cron records", "live_per_s_0ms_2", twice, "events/s")
        self.note(
            "queue lag p95, 2 cron records",
            "lag_p95_s_2",
            self.flood(paced, rate * 0.6)[1],
            "s",
        )
        self.workers(1)
        self.idle()
        self.floor()

    def workers(self, count):
        # Odoo refuses to change a record that runs, and ours look once more in the end.
        wait_for(lambda: not ask(self.server, RUNNING), 60)
        inside(self.bench.ground, self.server.database, "workers", count=count)
        time.sleep(1)

    def flood(self, count, rate=None):
        """Post so many new events, as fast as it goes or at a pace.

        :return: (events a second end to end, p95 of the time in the queue)
        """
        requests = list(map(raw_request, renewals(self.bench.double, count)))
        wait_for(lambda: not ask(self.server, PENDING), 600)  # what came before
        query(self.server, "truncate bench_done")
        start = time.time()
        post_all(requests, self.server.port, rate)
        wait_for(lambda: not ask(self.server, PENDING), 600)
        (line,) = query(
            self.server,
            """select count(*), max(at), percentile_cont(0.95) within group
                 (order by at - extract(epoch from received_at))
               from (select id, min(at) as at from bench_done group by id) done
               join affiliate_stripe_event using (id)""",
        )
        done, end, lag = map(float, line.split("|"))
        if done != count:
            fail(f"{count} events were sent and {done:.0f} processed.")
        return count / (end - start), lag

    def idle(self):
        """One event now and then, until its commission can be seen."""
        latencies = []
        for url, headers, body in renewals(self.bench.double, 40):
            number = re.search(r"customer-(\d+)@", body)
            if int(number[1]) % 4 != 1:
                continue  # nobody's customer
            time.sleep(2)
            query(self.server, "truncate bench_booked")
            start = time.time()
            post_all([raw_request((url, headers, body))], self.server.port)
            booked = "select count(*) from bench_booked"
            wait_for(lambda query=booked: ask(self.server, query), 60)
            at = ask(self.server, "select min(at) from bench_booked")
            latencies.append(at - start)
        self.note(
            "webhook to commission, idle (median)",
            "idle_latency_s",
            statistics.median(latencies),
            "s",
        )
        self.note("the same, slowest of 10", "idle_latency_max_s", max(latencies), "s")

    def floor(self):
        """How fast PostgreSQL alone inserts the same payloads, one a transaction."""
        bodies = [body for *_head, body in renewals(self.bench.double, 1000)]
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "insert.sql"
            script.write_text(
                "create table bench_floor (like affiliate_stripe_event including all);"
                "alter table bench_floor alter company_id drop not null,"
                " alter account_id drop not null;\n"
                + "".join(
                    "insert into bench_floor (stripe_id, state, payload)"
                    f" values ('{number}', 'pending', $body${body}$body$);\n"
                    for number, body in enumerate(bodies)
                )
            )
            start = time.monotonic()
            run_script(self.server, script)
            took = time.monotonic() - start
        self.note(
            "PostgreSQL alone, the same payloads",
            "postgres_insert_per_s",
            len(bodies) / took,
            "inserts/s",
        )


class DjStripe:
    """The same events with dj-stripe as it is set up by default: it verifies the
    signature, reads the invoice from the API and stores it before it answers."""

    def __init__(self, bench, site):
        self.bench, self.site = bench, site

    def measure(self):
        events, double = self.bench.options.events, self.bench.double
        self.flood(50)  # warm up
        calls = double.traffic()
        rate = self.flood(events)
        calls = (double.traffic() - calls) / events
        note = self.bench.note
        note("dj-stripe, invoice.paid, 0ms", "djstripe_per_s", rate, "events/s")
        note("its API calls an event", "djstripe_calls_per_event", calls)

    def flood(self, count):
        """Post so many new events; how many a second were stored."""
        deliveries = [
            delivery
            for delivery in renewals(self.bench.double, count)
            if delivery[0].startswith(self.site.url)  # not those of our own endpoint
        ]
        sent = {json.loads(body)["data"]["object"]["id"] for *_head, body in deliveries}
        requests = list(map(raw_request, deliveries))
        start = time.monotonic()
        post_all(requests, self.site.port)
        took = time.monotonic() - start
        stored = len(sent & self.site.stored())
        if stored != count:
            fail(f"{count} events were sent and {stored} of their invoices stored.")
        return count / took
