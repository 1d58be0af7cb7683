from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib.paid_moments import (
    CAPTURED,
    COLUMNS,
    PROMPT,
    SUCCEEDED,
    is_captured_later,
)
from ..lib.stripe_text import storable_json


class AffiliateStripeCharge(models.Model):
    _name = "affiliate.stripe.charge"
    _description = "Stripe charge"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"customer_id": "customer_ref"}

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    amount = fields.Monetary(readonly=True)
    amount_captured = fields.Monetary(string="Captured", readonly=True)
    amount_refunded = fields.Monetary(string="Refunded", readonly=True)
    captured = fields.Boolean(
        string="Money taken",
        readonly=True,
        help="If not, the amount is only reserved on the card.",
    )
    disputed = fields.Boolean(readonly=True)
    # The one fact that events tell and the object does not: see lib/paid_moments.py.
    succeeded_at = fields.Datetime(string="Succeeded", readonly=True)
    captured_at = fields.Datetime(string="Captured on", readonly=True)
    refund_ids = fields.One2many(
        "affiliate.stripe.refund", "charge_id", string="Refunds"
    )
    dispute_ids = fields.One2many(
        "affiliate.stripe.dispute", "charge_id", string="Disputes"
    )
    is_invoiced = fields.Boolean(
        string="Pays an invoice",
        compute="_compute_is_invoiced",
        search="_search_is_invoiced",
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")
    # What is not final, for the nightly check.
    _open_idx = models.Index(
        "(account_id) WHERE status = 'pending'"
        " OR (status = 'succeeded' AND captured IS NOT TRUE"
        " AND (amount_refunded <= 0 OR amount_refunded IS NULL))"
    )

    @api.model
    def _dated(self, account, charges):
        """Return which of these charges (Stripe ids) are dated: an event has said when
        they were paid, or is about to, or they pay an invoice."""
        rows = self.env.execute_query(
            SQL(
                """SELECT wanted.ref
                     FROM unnest(%(refs)s::varchar[], %(intents)s::varchar[])
                          AS wanted(ref, intent)
                    WHERE EXISTS (
                          SELECT FROM affiliate_stripe_charge charge
                           WHERE charge.account_id = %(account)s
                             AND charge.stripe_id = wanted.ref
                             AND (charge.captured_at IS NOT NULL
                                  OR (charge.succeeded_at IS NOT NULL
                                      AND NOT wanted.ref = ANY(%(captured)s))))
                       OR EXISTS (
                          SELECT FROM affiliate_stripe_event event
                           WHERE event.account_id = %(account)s
                             AND event.state = 'pending'
                             AND event.object_kind = 'charge'
                             AND event.object_ref = wanted.ref
                             AND event.type = CASE WHEN wanted.ref = ANY(%(captured)s)
                                 THEN %(captured_type)s ELSE %(succeeded_type)s END)
                       OR EXISTS (
                          SELECT FROM affiliate_stripe_invoice_payment payment
                           WHERE payment.account_id = %(account)s
                             AND payment.payment_intent = wanted.intent)""",
                account=account.id,
                captured_type=CAPTURED,
                succeeded_type=SUCCEEDED,
                refs=list(charges),
                intents=[raw.get("payment_intent") for raw in charges.values()],
                captured=[
                    ref for ref, raw in charges.items() if is_captured_later(raw)
                ],
            )
        )
        return {ref for (ref,) in rows}

    @api.model
    def _note_moments(self, account, charges, told):
        """Keep when charges were paid, as told by events of which some are deleted one
        day and Stripe forgets all after 30 days. The first moment told counts, in
        whatever order they come.

        :param charges: Stripe ids of charges just stored; of these, events still
            waiting in the inbox are read
        :param told: ``[(Stripe id, type of event, moment)]`` that was read elsewhere
        """
        columns = [
            SQL(
                "MIN(at) FILTER (WHERE type IN (%s, %s)) AS %s",
                kind,
                f"v1.{kind}",
                SQL.identifier(column),
            )
            for kind, column in COLUMNS.items()
        ]
        earlier = [
            SQL(
                "%(column)s = LEAST(charge.%(column)s, told.%(column)s)",
                column=SQL.identifier(column),
            )
            for column in COLUMNS.values()
        ]
        self.env.cr.execute(
            SQL(
                """WITH told AS (
                       SELECT ref, %(columns)s
                         FROM (SELECT object_ref AS ref, type, created AS at
                                 FROM affiliate_stripe_event
                                WHERE account_id = %(account)s AND state = 'pending'
                                  AND object_kind = 'charge' AND object_ref IN %(refs)s
                            UNION ALL
                               SELECT ref, type, at
                                 FROM jsonb_to_recordset(%(told)s)
                                   AS row(ref varchar, type varchar, at timestamp)
                              ) events
                     GROUP BY ref)
                   UPDATE affiliate_stripe_charge charge
                      SET %(earlier)s
                     FROM told
                    WHERE charge.account_id = %(account)s
                      AND charge.stripe_id = told.ref
                      AND COALESCE(%(told_columns)s) IS NOT NULL
                      -- Most payments: by card, at once. The charge says that itself.
                      AND (COALESCE(charge.data #>> '{payment_method_details,type}',
                                    'card') = 'card'
                           AND charge.data #>> '{balance_transaction,type}'
                               IS DISTINCT FROM 'payment'
                           AND told.captured_at IS NULL
                           AND told.succeeded_at
                               <= charge.created + %(prompt)s * interval '1 second'
                          ) IS NOT TRUE
                      """,
                columns=SQL(", ").join(columns),
                account=account.id,
                prompt=PROMPT,
                refs=tuple(charges),
                told=storable_json(
                    [
                        {"ref": ref, "type": kind, "at": at.isoformat()}
                        for ref, kind, at in told
                    ]
                ),
                earlier=SQL(", ").join(earlier),
                told_columns=SQL(", ").join(
                    SQL("told.%s", SQL.identifier(column))
                    for column in COLUMNS.values()
                ),
            )
        )

    @api.depends("payment_intent")
    def _compute_is_invoiced(self):
        invoiced = self.search([("id", "in", self.ids), ("is_invoiced", "=", True)])
        for charge in self:
            charge.is_invoiced = charge in invoiced

    @api.model
    def _search_is_invoiced(self, operator, value):
        if operator != "in":
            return NotImplemented
        payments = self.env["affiliate.stripe.invoice.payment"].sudo()
        intents = payments._search([("payment_intent", "!=", False)])
        charges = payments._search([("charge_ref", "!=", False)])
        invoiced = Domain(
            "payment_intent", "in", intents.subselect("payment_intent")
        ) | Domain("stripe_id", "in", charges.subselect("charge_ref"))
        return invoiced if True in value else ~invoiced
