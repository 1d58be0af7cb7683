"""What `bin/demo` does inside Odoo to give it a year of business; typed into `odoo
shell`. YEAR is a JSON object with the address of the Stripe double and the prices.

Only what nobody can do from outside is done here: what lies in the past.
"""

import json
import os
import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.environ["YEAR_TESTS"])

from stripe_double.remote import DoubleClient  # noqa: E402

from support.story import crowd  # noqa: E402

WAITING, SUSPENDED = 3, 1


def moment(stamp):
    return datetime.fromtimestamp(stamp, timezone.utc).replace(tzinfo=None)


def main(env, asked):
    env = env(context=dict(env.context, tracking_disable=True, no_reset_password=True))
    program = env["affiliate.program"].search([("name", "=", asked["program"])])
    account = program.stripe_account_id
    affiliates = make_affiliates(env, program)
    env.cr.commit()
    issued = env["affiliate.click"]
    visitors = iter(issued._new_visitor, None)
    year = crowd.Crowd(
        asked["now"], affiliates.mapped("code"), asked["prices"], visitors
    )
    self_made = own_purchase(affiliates, year)
    make_visits(env, program, affiliates, year)
    make_leads(env, affiliates, year)
    env.cr.commit()
    DoubleClient(asked["stripe"]).history([*year.acts, self_made])
    read_account(env, account)
    env["affiliate.commission"]._cron_approve()
    env.cr.commit()
    settle(env, affiliates, asked["now"])
    wait_for_approval(env, program, affiliates)
    env.cr.commit()


def make_affiliates(env, program):
    """Affiliates with their codes in Stripe; nobody gets a mail."""
    people = crowd.names(crowd.AFFILIATES, "affiliates")
    partners = env["res.partner"].create(
        [
            {"name": name, "email": crowd.address(name, "partners.example")}
            for name in people
        ]
    )
    affiliates = env["affiliate.affiliate"].create(
        [
            {
                "partner_id": partner.id,
                "program_id": program.id,
                "state": "active",
                "website": f"https://{partner.name.split()[0].lower()}.example",
                "motivation": crowd.MOTIVES[number % len(crowd.MOTIVES)],
            }
            for number, partner in enumerate(partners)
        ]
    )
    for affiliate in affiliates:
        affiliate._make_code()
    affiliates.code_ids._push()
    return affiliates


def own_purchase(affiliates, year):
    """An affiliate buys with the own code: a doubt for *Needs review*."""
    buyer = affiliates[3]
    sale = {
        "price": year.prices["pro"],
        "email": buyer.email,
        "name": buyer.name,
        "code": buyer.code,
    }
    return [year.now - 20 * crowd.DAY, "checkout", sale]


def make_visits(env, program, affiliates, year):
    codes = {code.code: code for code in affiliates.code_ids}
    rows = [
        (
            visitor,
            codes[code].id,
            codes[code].affiliate_id.id,
            program.id,
            program.company_id.id,
            moment(at),
            f"https://acme.example{page}",
            channel,
        )
        for code, at, visitor, page, channel in year.visits
    ]
    names = (
        "visitor, code_id, affiliate_id, program_id, company_id, date, landing_url,"
        " sub_id"
    )
    env.cr.execute_values(
        f"INSERT INTO affiliate_click ({names}) VALUES %s", rows, page_size=1000
    )


def make_leads(env, affiliates, year):
    by_code = {affiliate.code: affiliate for affiliate in affiliates}
    env["affiliate.referral"].sudo().create(
        [
            {
                "email": email,
                "affiliate_id": by_code[code].id,
                "date": moment(at),
                "source": "form",
                "visitor": visitor,
                "without_visit": not visitor,
            }
            for code, email, at, visitor in year.leads
        ]
    )


def read_account(env, account):
    """Read everything, here and now."""
    account.action_sync_now()
    env.cr.commit()
    env["affiliate.stripe.run"]._walk_all()
    env.cr.commit()


def settle(env, affiliates, now):
    """Four quarters: the first ones are paid, the last but one is billed, the last is
    a draft that somebody has to look at."""
    settlements = env["affiliate.settlement"]
    for age, how in ((270, "paid"), (180, "paid"), (90, "billed"), (35, "draft")):
        day = (moment(now) - timedelta(days=age)).date()
        made = settlements._collect(day, affiliates[:12])
        if how == "draft":
            continue
        for settlement in made:
            settlement._try_confirm()
        bills = made.move_id
        bills.invoice_date = bills.date = day
        bills.action_post()
        if how == "paid":
            pay(env, bills, day + timedelta(days=5))


def pay(env, bills, day):
    wizard = (
        env["account.payment.register"]
        .with_context(active_model="account.move", active_ids=bills.ids)
        .create({"payment_date": day, "group_payment": False})
    )
    wizard._create_payments()


def wait_for_approval(env, program, affiliates):
    """Applications that somebody has to answer, and an affiliate who had to stop."""
    people = crowd.names(crowd.AFFILIATES + WAITING, "applicants")[:WAITING]
    for number, name in enumerate(people):
        application = env["affiliate.application"].create(
            {
                "program_id": program.id,
                "name": name,
                "email": crowd.address(name, "creators.example"),
                "mailbox": crowd.address(name, "creators.example"),
                "website": f"https://{name.split()[1].lower()}.example",
                "wished_code": name.split()[0].upper(),
                "motivation": crowd.MOTIVES[number % len(crowd.MOTIVES)],
                "state": "mailed",
            }
        )
        application._enrol()
    affiliates[-SUSPENDED:].action_suspend()


if "env" in globals():  # typed into the shell
    main(env, json.loads(os.environ["YEAR"]))  # noqa: F821
