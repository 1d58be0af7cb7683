from functools import partial

from odoo import http
from odoo.http import request

from ..lib.stripe_webhook import MAX_BODY_BYTES, is_signed


class StripeWebhook(http.Controller):
    @http.route(
        "/affiliate_stripe/webhook/<string:token>",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        readonly=False,
        save_session=False,
        max_content_length=MAX_BODY_BYTES,
    )
    def receive(self, token, **_parameters):
        """Take one delivery: verify, store, answer. Everything else comes later.

        Answers 200 also for events we do not know: an error status would make Stripe
        repeat them and in the end disable the endpoint.
        """
        if request.httprequest.mimetype != "application/json":
            # Odoo may have taken it apart already; and Stripe sends nothing else.
            return request.make_response("", status=415)
        body = request.httprequest.get_data()
        header = request.httprequest.headers.get("Stripe-Signature")
        status = request.env["affiliate.stripe.event"]._receive(
            token, body, partial(is_signed, body, header)
        )
        return request.make_response("", status=status)
