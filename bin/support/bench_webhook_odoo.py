"""What `bin/bench webhook` needs in its database; typed into `odoo shell`.

BENCH is a JSON object: `event` is the type of the event to ignore. Gives back, as JSON
in the file BENCH_OUT, the address and the secrets to use and the bodies of two events,
as the Stripe double would deliver them. Nothing here or later calls Stripe.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["BENCH_TESTS"])

from stripe_double import Shop, StripeDouble  # noqa: E402

MARK = "@@@@@@@@"
OUR_SECRET = "whsec_bench_affiliate_stripe_0000000000"
THEIR_SECRET = "whsec_bench_payment_stripe_000000000000"

ADDRESS = {
    "line1": "1 Main Street",
    "city": "Springfield",
    "postal_code": "12345",
    "country": "US",
}


def bodies(event):
    """An event of the type to ignore, and payment_intent.succeeded, of one sale.

    The sale an affiliate programme lives of: a subscription with a promotion code.
    """
    with StripeDouble() as double:
        shop = Shop(double)
        shop.endpoint("https://shop.example/hook")
        customer = shop.customer("jane@example.com", name="Jane Doe", address=ADDRESS)
        code = shop.code("DRONA29", 20)
        shop.subscribe(
            customer,
            shop.price(4900),
            discounts=[{"promotion_code": code["id"]}],
            metadata={"affiliate": "DRONA29", "campaign": "spring"},
        )
        found = {d.event["type"]: json.loads(d.body()) for d in double.deliveries()}
    if event not in found:
        sys.exit(f"a sale in Stripe has no event {event}, only: {sorted(found)}")
    ignored, succeeded = found[event], found["payment_intent.succeeded"]
    ignored["id"] = f"evt_bench_{MARK}"
    succeeded["id"] = f"evt_bench_pi_{MARK}"
    # Where payment_stripe looks for the reference of its transaction.
    succeeded["data"]["object"]["description"] = f"bench-{MARK}"
    return ignored, succeeded


def prepare_payment_stripe(env, intent):
    """A provider with its secret, and a draft transaction to make copies of."""
    currency = env["res.currency"].with_context(active_test=False)
    currency = currency.search([("name", "=", intent["currency"].upper())])
    currency.active = True
    provider = env["payment.provider"].search([("code", "=", "stripe")], limit=1)
    provider.write(
        {
            "state": "test",
            "stripe_publishable_key": "pk_test_bench",
            "stripe_secret_key": "sk_test_bench",
            "stripe_webhook_secret": THEIR_SECRET,
        }
    )
    env["payment.transaction"].create(
        {
            "reference": "bench-template",
            "provider_id": provider.id,
            "payment_method_id": env.ref("payment.payment_method_card").id,
            "amount": intent["amount"] / 100,
            "currency_id": currency.id,
            "partner_id": env["res.partner"].create({"name": "Jane"}).id,
            "operation": "online_direct",
        }
    )


def main(env):
    ignored, succeeded = bodies(**json.loads(os.environ["BENCH"]))
    account = env["affiliate.stripe.account"].create(
        {"name": "Bench", "api_key": "sk_test_bench", "webhook_secret": OUR_SECRET}
    )
    prepare_payment_stripe(env, succeeded["data"]["object"])
    env.cr.commit()
    result = {
        "path": f"/affiliate_stripe/webhook/{account.webhook_token}",
        "our_secret": OUR_SECRET,
        "their_secret": THEIR_SECRET,
        "ignored": json.dumps(ignored, indent=2),
        "succeeded": json.dumps(succeeded, indent=2),
    }
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(result))


main(env)  # noqa: F821  (the shell's)
