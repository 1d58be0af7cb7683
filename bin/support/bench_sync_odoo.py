"""What `bin/bench sync` does inside Odoo; typed into `odoo shell`.

BENCH is a JSON object: `do` names one of the functions below, the rest are its
arguments. Their result goes as JSON into the file BENCH_OUT.
"""

import cProfile
import io
import json
import os
import pstats
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, os.environ["BENCH_TESTS"])

from stripe_double.remote import DoubleClient  # noqa: E402

AFFILIATES = 12
NEEDED_CRONS = ("ir_cron_process", "ir_cron_sync")


def setup(env, url, invoices):
    """A connected account whose double holds a history that half belongs to affiliates:
    every fourth customer by promotion code, every fourth by a claim for his address."""
    parameters = env["ir.config_parameter"]
    parameters.set_param("affiliate_stripe.api_base", url)
    parameters.set_param("web.base.url", "http://127.0.0.1:8069")
    account = env["affiliate.stripe.account"].create(
        {"name": "Bench", "api_key": "sk_test_bench", "rate_limit": 0}
    )
    account.action_connect()
    affiliates = _make_affiliates(env, account)
    promotions = affiliates.code_ids.promotion_code_ids.mapped("stripe_id")
    counts = DoubleClient(url).fill(invoices, promotions)
    env["affiliate.referral"].create(
        [
            {
                "email": f"customer-{number:08d}@shop.example",
                "affiliate_id": affiliates[number % AFFILIATES].id,
                "include_history": True,
            }
            for number in range(1, counts["customer"], 4)
        ]
    )
    _leave_only_needed_crons(env)
    env.cr.commit()
    _install_clocks(env)
    secret = account.sudo().endpoint_ids.secret
    return {
        "counts": counts,
        "path": f"/affiliate_stripe/webhook/{account.webhook_token}",
        "secret": secret,
    }


def _make_affiliates(env, account):
    """Affiliates of a programme, whose codes are in the double."""
    program = env["affiliate.program"].create(
        {
            "name": "Partners",
            "stripe_account_id": account.id,
            "signup_url": "https://shop.example",
            "currency_id": env.ref("base.USD").id,
            "rule_ids": [(0, 0, {"rate": 30.0})],
            "discount_type": "percent",
            "discount_value": 20,
        }
    )
    affiliates = env["affiliate.affiliate"]
    for number in range(AFFILIATES):
        partner = env["res.partner"].create(
            {"name": f"Partner {number}", "email": f"p{number}@partners.example"}
        )
        affiliates += affiliates.create(
            {"partner_id": partner.id, "program_id": program.id}
        )
    affiliates.action_approve()
    codes = affiliates.code_ids
    codes._push()
    assert len(codes.promotion_code_ids) == AFFILIATES, codes.mapped("sync_error")
    return affiliates


def _leave_only_needed_crons(env):
    """None of them by itself: they run when they are woken."""
    needed = [env.ref(f"affiliate_stripe.{name}").id for name in NEEDED_CRONS]
    env["ir.cron"].search([("id", "not in", needed)]).active = False
    env["ir.cron"].browse(needed).write(
        {"nextcall": datetime.now() + timedelta(days=1)}
    )
    env["ir.cron.trigger"].search([]).unlink()


def _install_clocks(env):
    """Note when events are done and commissions booked, a row a statement."""
    for name, table, event, where in (
        ("done", "affiliate_stripe_event", "UPDATE", "state = 'done'"),
        ("booked", "affiliate_commission", "INSERT", "TRUE"),
    ):
        env.cr.execute(
            f"""
            CREATE UNLOGGED TABLE bench_{name} (id int, at float);
            CREATE FUNCTION bench_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO bench_{name}
                SELECT id, extract(epoch FROM clock_timestamp()) FROM fresh
                 WHERE {where};
                RETURN NULL;
            END $$;
            CREATE TRIGGER bench_{name} AFTER {event} ON {table}
            REFERENCING NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION bench_{name}();
            """
        )
    env.cr.commit()


def workers(env, count):
    """So many cron records process events."""
    env["affiliate.stripe.event"]._set_workers(count)
    env.cr.commit()


def rate_limit(env, per_second):
    """At most so many calls a second; 0: no limit."""
    account = env["affiliate.stripe.account"].search([])
    account.rate_limit = per_second
    env.cr.commit()


def profile(env, url, events, latency=0):
    """Backfill, then live events, in this process; prints where the time goes."""
    rate_limit(env, 0)
    account = env["affiliate.stripe.account"].search([])
    double, inbox = DoubleClient(url), env["affiliate.stripe.event"]
    result = {}
    if latency:
        double.disturb("latency", probability=1, seconds=latency / 1000)
    took = _profiled("backfill", lambda: read_account(env, account))
    env.cr.execute("SELECT count(*) FROM affiliate_stripe_invoice")
    result["backfill_per_s"] = env.cr.fetchone()[0] / took
    env.cr.commit()
    double.renew(events)
    bodies = [json.loads(body) for _url, _headers, body in double.take()]
    with env["affiliate.stripe.sync"]._transaction() as own:
        own.env[inbox._name]._insert(account.id, bodies)
    took = _profiled("live", inbox._process_pending)
    result["live_per_s"] = events / took
    env.cr.commit()
    env.cr.execute("SELECT state, count(*) FROM affiliate_stripe_event GROUP BY state")
    result["events"] = dict(env.cr.fetchall())
    env.cr.execute("SELECT count(*) FROM affiliate_commission")
    result["commissions"] = env.cr.fetchone()[0]
    return result


def read(env):
    """Read the whole account, and nothing else."""
    read_account(env, env["affiliate.stripe.account"].search([]))


def read_account(env, account):
    """Read the whole account here and now."""
    account.action_sync_now()
    env.cr.commit()
    env["affiliate.stripe.run"]._cron_walk()


def _profiled(name, function):
    profiler = cProfile.Profile()
    start = time.monotonic()
    profiler.runcall(function)
    took = time.monotonic() - start
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs()
    for order in ("cumulative", "tottime"):
        stats.sort_stats(order).print_stats(60)
    folder = Path(os.environ["BENCH_OUT"]).parent
    (folder / f"{name}.txt").write_text(text.getvalue())
    profiler.dump_stats(folder / f"{name}.prof")
    return took


def main(env):
    asked = json.loads(os.environ["BENCH"])
    tasks = (setup, read, workers, rate_limit, profile)
    function = {task.__name__: task for task in tasks}
    result = function[asked.pop("do")](env, **asked)
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(result))


main(env)  # noqa: F821  (the shell's)
