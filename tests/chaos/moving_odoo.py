"""What moving.py does inside Odoo; typed into `odoo shell`.

BENCH is a JSON object: `do` names one of the functions below, the rest are its
arguments. Their result goes as JSON into the file BENCH_OUT.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["BENCH_TESTS"])

from stripe_double import Shop  # noqa: E402
from stripe_double.remote import DoubleClient  # noqa: E402

from odoo.exceptions import UserError  # noqa: E402

KEY = "sk_test_moving"


def setup(env, url, base):
    """A connected account, a program, an affiliate whose code is in Stripe."""
    parameters = env["ir.config_parameter"]
    parameters.set_param("affiliate_stripe.api_base", url)
    parameters.set_param("web.base.url", base)
    # Somebody who logs in at the port of a test is no sign of a copy.
    parameters.set_param("web.base.url.freeze", "True")
    account = env["affiliate.stripe.account"].create({"name": "Acme", "api_key": KEY})
    account.action_connect()
    env["affiliate.program"].create(
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
    env["affiliate.stripe.event"]._set_workers(3)
    env.cr.commit()
    return enroll(env, "Drona Rao")


def enroll(env, name, wish=None):
    """An approved affiliate; what became of the code."""
    partner = env["res.partner"].create(
        {"name": name, "email": f"{name.split()[0].lower()}@partners.example"}
    )
    affiliate = env["affiliate.affiliate"].create(
        {
            "partner_id": partner.id,
            "program_id": env["affiliate.program"].search([]).id,
            "wished_code": wish,
        }
    )
    affiliate.action_approve()
    affiliate.code_ids._push()
    env.cr.commit()
    return look(env)


def sell(env, url, code, email):
    """Somebody buys with a code; delivered or polled later."""
    shop = Shop(DoubleClient(url), KEY)
    shop.buy(shop.price(10000), email, code=code)


def delete_endpoint(env, url):
    """Somebody deletes our endpoint in Stripe's dashboard."""
    endpoint = env["affiliate.stripe.endpoint"].search(
        [("valid_until", "=", False)], limit=1
    )
    Shop(DoubleClient(url), KEY).delete(f"webhook_endpoints/{endpoint.stripe_id}")


def act(env):
    """All that people and scheduled actions would do in Stripe; who was refused."""
    affiliate = env["affiliate.affiliate"].search([], limit=1)
    account = env["affiliate.stripe.account"].search([])
    refused = []
    for record, name in (
        (affiliate, "action_suspend"),
        (affiliate.code_ids, "action_deactivate"),
        (account, "action_deactivate_codes"),
        (account, "action_roll_secret"),
        (account, "action_disconnect"),
    ):
        try:
            getattr(record, name)()
            env.cr.commit()
        except UserError as error:
            env.cr.rollback()
            refused.append(str(error))
    work(env)
    return refused


def work(env):
    """What scheduled actions do."""
    for name in ("webhooks", "codes", "poll"):
        # What else it returns is the news of a failure.
        done = env.ref(f"affiliate_stripe.ir_cron_{name}").method_direct_trigger()
        assert done is True, (name, done)
        env.cr.commit()
    env["affiliate.stripe.event"]._process_pending()
    env["affiliate.stripe.run"]._cron_walk()
    env.cr.commit()
    return look(env)


def later(env):
    """Long enough after our mark in Stripe was read for the last time."""
    env.cr.execute("UPDATE affiliate_stripe_mark SET read_at = '2020-01-01'")
    env.cr.commit()


def roll(env):
    """A new signing secret, by the button."""
    env["affiliate.stripe.account"].search([]).action_roll_secret()
    env.cr.commit()
    return look(env)


def answer(env, what):
    """A person says what this database is; then the scheduled actions do their work."""
    account = env["affiliate.stripe.account"].search([])
    wizard = env["affiliate.stripe.home.wizard"].create(
        {"account_id": account.id, "answer": what}
    )
    wizard.action_confirm()
    env.cr.commit()
    return work(env)


def whose(env, code):
    """What a person reads about a promotion code that is in the way."""
    row = env["affiliate.code"].search([("code", "=", code)])
    action = row.action_adopt()
    wizard = env[action["res_model"]].browse(action["res_id"])
    return {"made_for": wizard.made_for, "is_lost": wizard.is_lost}


def look(env):
    env.invalidate_all()
    account = env["affiliate.stripe.account"].search([])
    codes, rows = (
        env["affiliate.code"].search([]),
        env["affiliate.commission"].search([]),
    )
    earned = dict.fromkeys(codes.mapped("code"), 0)
    for row in rows:
        earned[row.affiliate_id.code] += row.amount
    return {
        "state": account.state,
        "question": account.home_question,
        "uuid": env["ir.config_parameter"].get_param("database.uuid"),
        "codes": {code.code: code.state for code in codes},
        "earned": earned,
    }


def _main(env):
    arguments = json.loads(os.environ["BENCH"])
    result = globals()[arguments.pop("do")](env, **arguments)
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(result))


_main(env)  # noqa: F821, given by the shell
