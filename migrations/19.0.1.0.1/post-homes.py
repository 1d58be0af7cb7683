"""Connected accounts are at home here, and codes and coupons keep the names by which
Stripe knows them: made of the database's id and theirs, until now."""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    for table in ("affiliate_code", "affiliate_program"):
        # Odoo has given all rows one default value.
        cr.execute(
            f"""UPDATE {table} SET stripe_mark = left(
                   (SELECT value FROM ir_config_parameter
                     WHERE key = 'database.uuid'), 8) || '-' || id"""
        )
    env = api.Environment(cr, SUPERUSER_ID, {})
    accounts = env["affiliate.stripe.account"].search([("state", "!=", "draft")])
    accounts._remember_home()
