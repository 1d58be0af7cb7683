"""Referrals know by which of the affiliate's links the person came, also when the visit
is forgotten; until now the visit alone knew."""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    env["affiliate.referral"]._note_sub_ids()
