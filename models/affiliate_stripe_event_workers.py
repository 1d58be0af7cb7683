from odoo import api, models
from odoo.exceptions import ValidationError

MAX_WORKERS = 8
MODULE, NAME = "affiliate_stripe", "ir_cron_process"


class AffiliateStripeEvent(models.Model):
    """How many workers process the inbox: one for each cron record.

    Odoo runs a cron record on one worker at a time, so identical records are what lets
    several work at once, on any number of machines. They share the work by leases (see
    ``_claim``).
    """

    _inherit = "affiliate.stripe.event"

    @api.model
    def _workers(self):
        """Return the cron records, our own one first, archived ones too."""
        data = self.env["ir.model.data"].sudo()
        known = data.search(
            [("module", "=", MODULE), ("model", "=", "ir.cron")], order="name"
        ).filtered(lambda row: row.name.startswith(NAME))
        return self.env["ir.cron"].sudo().browse(known.mapped("res_id")).exists()

    @api.model
    def _set_workers(self, count):
        """Have ``count`` workers: make or archive copies of our cron record.

        Their external ids make them go with the module, and ``noupdate`` keeps them
        when it is upgraded.
        """
        if not 1 <= count <= MAX_WORKERS:
            raise ValidationError(
                self.env._("Choose from 1 to %s workers.", MAX_WORKERS)
            )
        first, *others = self._workers()
        for number, cron in enumerate(others, start=2):
            wanted = {"active": number <= count, "user_id": first.user_id.id}
            if (cron.active, cron.user_id) != (wanted["active"], first.user_id):
                cron.write(wanted)
        for number in range(len(others) + 2, count + 1):
            self._add_worker(first, number)

    @api.model
    def _add_worker(self, first, number):
        values = {
            name: first[name]
            for name in (
                "state",
                "code",
                "interval_number",
                "interval_type",
                "priority",
            )
        }
        cron = (
            self.env["ir.cron"]
            .sudo()
            .create(
                {
                    **values,
                    "name": f"{first.name} ({number})",
                    "model_id": first.model_id.id,
                    "user_id": first.user_id.id,
                }
            )
        )
        self.env["ir.model.data"].sudo()._update_xmlids(
            [{"xml_id": f"{MODULE}.{NAME}_{number}", "record": cron, "noupdate": True}]
        )
