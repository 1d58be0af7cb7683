"""What `bin/bench tracking` needs in its database; typed into `odoo shell`.

A programme with an affiliate and his code, and a link of Odoo's link_tracker to the
same page. Gives back their addresses, as JSON in the file BENCH_OUT.
"""

import json
import os
from pathlib import Path

SITE = "http://127.0.0.1/pricing"


def main(env):
    account = env["affiliate.stripe.account"].create({"name": "Bench"})
    program = env["affiliate.program"].create(
        {
            "name": "Partners",
            "stripe_account_id": account.id,
            "signup_url": SITE,
            "currency_id": env.ref("base.USD").id,
        }
    )
    partner = env["res.partner"].create(
        {"name": "Drona Rao", "email": "drona@partners.example"}
    )
    affiliate = env["affiliate.affiliate"].create(
        {"partner_id": partner.id, "program_id": program.id}
    )
    affiliate.action_approve()
    link = env["link.tracker"].create({"url": SITE, "title": "Pricing"})
    env.cr.commit()
    result = {
        "code": affiliate.code,
        "key": program.public_key,
        "site": SITE,
        "link_tracker": f"/r/{link.code}",
    }
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(result))


main(env)  # noqa: F821  (the shell's)
