from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    """Take the texts that people typed into Stripe out of what affiliates read."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    env["affiliate.commission"]._explain_all_anew()
