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
    year.own_purchase(affiliates[3])
    year.colleagues(affiliates[0])
    make_visits(env, program, affiliates, year)
    make_leads(env, affiliates, year)
    env.cr.commit()
    DoubleClient(asked["stripe"]).history(year.acts)
    read_account(env, account)
    env["affiliate.commission"]._cron_approve()
    date_doubts(env)
    env.cr.commit()
    settle(env, affiliates, asked["now"])
    wait_for_approval(env, program, affiliates)
    env.cr.commit()


def make_affiliates(env, program):
    """Affiliates with their codes in Stripe, after the one of the story; nobody gets a
    mail. The busiest come first."""
    affiliates = env["affiliate.affiliate"]
    for number, name in enumerate(crowd.names(crowd.AFFILIATES, "affiliates")):
        first, last = name.lower().split()
        site = f"{last}.example" if number % 3 == 0 else "partners.example"
        partner = env["res.partner"].create(
            {"name": name, "email": crowd.address(name, site)}
        )
        affiliate = affiliates.create(
            {
                "partner_id": partner.id,
                "program_id": program.id,
                "state": "active",
                "website": f"https://{first}-{last}.example",
                "motivation": crowd.MOTIVES[number % len(crowd.MOTIVES)],
            }
        )
        affiliate._make_code()
        affiliates += affiliate
    affiliates.code_ids._push()
    drona = program.affiliate_ids - affiliates
    return affiliates[:4] + drona + affiliates[4:]


def make_visits(env, program, affiliates, year):
    codes = {code.code: code for code in affiliates.code_ids}
    names = (
        "visitor, code_id, affiliate_id, program_id, company_id, date, landing_url,"
        " sub_id, country_code, ad_network"
    )
    rows = [
        (
            visit["visitor"],
            codes[code].id,
            codes[code].affiliate_id.id,
            program.id,
            program.company_id.id,
            moment(visit["date"]),
            f"https://acme.example{visit['page']}",
            visit["channel"],
            visit["country"],
            visit["network"],
        )
        for code, visit in year.visits
    ]
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


def date_doubts(env):
    """A doubt is as old as the referral that it is about."""
    env.cr.execute(
        "UPDATE affiliate_referral_flag flag SET create_date = referral.date"
        "  FROM affiliate_referral referral WHERE referral.id = flag.referral_id"
    )
    env.invalidate_all()


def settle(env, affiliates, now):
    """Four quarters: the first ones are paid, the last but one is billed, the last is
    a draft that somebody has to look at. Each bill has its statement as PDF, which
    takes a second, so few affiliates have bills; Drona is among them."""
    settlements = env["affiliate.settlement"]
    some, many = affiliates[2:5], affiliates[:12]
    for age, how, who in (
        (270, "paid", some),
        (180, "paid", some),
        (90, "billed", some),
        (35, "draft", many),
    ):
        day = (moment(now) - timedelta(days=age)).date()
        made = settlements._collect(day, who)
        if how == "draft":
            continue
        made.action_confirm()
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
