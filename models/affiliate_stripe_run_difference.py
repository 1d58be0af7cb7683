from odoo import api, fields, models

from ..lib.roles import MANAGER
from ..tools.access import needs
from .affiliate_stripe_run import MAX_LISTED
from .affiliate_stripe_run_checks import shown_sums


class AffiliateStripeRunDifference(models.Model):
    """One object that is not the same at Stripe and here, as a comparison found it."""

    _name = "affiliate.stripe.run.difference"
    _description = "Difference between Stripe and what was read"
    _inherit = ["affiliate.protected"]
    _check_company_auto = True
    _order = "part_id, id"
    _rec_name = "stripe_id"

    part_id = fields.Many2one(
        "affiliate.stripe.run.part",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(related="part_id.company_id", store=True, index=True)
    kind = fields.Char(related="part_id.kind", store=True)
    kind_name = fields.Char(related="part_id.kind_name")
    month = fields.Char(related="part_id.month")
    stripe_id = fields.Char(string="Stripe ID", required=True, readonly=True)
    what = fields.Selection(
        [
            ("missing_here", "Missing here"),
            ("missing_there", "Missing at Stripe"),
            ("amount", "Another amount"),
            ("other", "Other details"),
            ("parts", "Lines or payments"),
            ("unreadable", "Cannot be understood"),
        ],
        string="Difference",
        required=True,
        readonly=True,
    )
    columns = fields.Json(readonly=True)  # {column: [here, at Stripe]}
    details = fields.Char(compute="_compute_details")

    @api.depends("columns")
    def _compute_details(self):
        currencies = self._currencies()
        for difference in self:
            columns = difference.columns or {}
            known = difference.part_id._mirror().fields_get(columns, ["string", "type"])
            codes = columns.get("currency") or [currencies.get(difference)] * 2
            texts = []
            for name, values in columns.items():
                field = known.get(name, {"string": name, "type": "char"})
                if field["type"] == "monetary":
                    values = map(_with_currency, values, codes)
                here, there = values
                texts.append(
                    self.env._(
                        "%(field)s: %(here)s here, %(there)s at Stripe",
                        field=field["string"],
                        here=here or "–",
                        there=there or "–",
                    )
                )
            difference.details = "; ".join(texts)

    def _currencies(self):
        """Return the currencies these objects have here, ``{difference: code}``."""
        codes = {}
        for part, differences in self.grouped("part_id").items():
            mirror = part._mirror().with_context(active_test=False)
            if "currency_id" not in mirror._fields:
                continue
            rows = mirror.search(
                [
                    ("account_id", "=", part.run_id.account_id.id),
                    ("stripe_id", "in", differences.mapped("stripe_id")),
                ]
            )
            known = {row.stripe_id: row.currency_id.name for row in rows}
            codes |= {d: known.get(d.stripe_id) for d in differences}
        return codes

    @needs("read", MANAGER)
    def action_sync_again(self):
        """Read these objects again, in the background."""
        events = self.env["affiliate.stripe.event"]
        by_account = self.grouped(lambda found: found.part_id.run_id.account_id)
        for account, found in by_account.items():
            events._put_objects(account, [(d.kind, d.stripe_id) for d in found])
        events._wake()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "message": self.env._(
                    "It is read in the background. Compare again to see what is left."
                ),
                "type": "success",
            },
        }


class AffiliateStripeRunPart(models.Model):
    """Of a comparison: what one kind in one month is here and at Stripe."""

    _inherit = "affiliate.stripe.run.part"

    stripe_count = fields.Integer(string="In Stripe", readonly=True)
    mirror_count = fields.Integer(string="Here", readonly=True)
    # {currency: amount as text}
    stripe_sums = fields.Json(readonly=True)
    mirror_sums = fields.Json(readonly=True)
    stripe_sum = fields.Text(string="Sum in Stripe", compute="_compute_sums")
    mirror_sum = fields.Text(string="Sum here", compute="_compute_sums")
    # Ids already seen of the second that is ``reached``: a page may end within it.
    seen = fields.Json(readonly=True)
    difference_ids = fields.One2many(
        "affiliate.stripe.run.difference", "part_id", readonly=True
    )
    different_count = fields.Integer(string="Differences", readonly=True)

    @api.depends("stripe_sums", "mirror_sums")
    def _compute_sums(self):
        for part in self:
            part.stripe_sum = shown_sums(part.stripe_sums)
            part.mirror_sum = shown_sums(part.mirror_sums)

    @needs("read", MANAGER)
    def action_sync_again(self):
        """Read the different objects again, in the background."""
        return self.difference_ids.action_sync_again()

    @needs("read")
    def action_view_differences(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_stripe_run_difference"
        )
        action["domain"] = [("part_id", "in", self.ids)]
        return action

    def _add_differences(self, found):
        """Note differences: all of them are counted, the first ones listed.

        :param dict found: ``{stripe id: (what, columns)}``
        """
        room = max(0, MAX_LISTED - self.different_count)
        self.env["affiliate.stripe.run.difference"].create(
            [
                {
                    "part_id": self.id,
                    "stripe_id": stripe_id,
                    "what": what,
                    "columns": columns or False,
                }
                for stripe_id, (what, columns) in sorted(found.items())[:room]
            ]
        )
        self.different_count += len(found)


def _with_currency(amount, code):
    return shown_sums({code.upper(): amount}) if amount and code else amount
