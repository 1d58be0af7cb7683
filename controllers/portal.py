from urllib.parse import urlencode

from odoo import http
from odoo.exceptions import AccessError, MissingError, UserError
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal
from odoo.addons.portal.controllers.portal import pager as portal_pager

LATEST = 5
SETTLEMENTS = 24
MAX_PAGE = 10**6  # no list is longer, and the database cannot count on for ever
QR_SIZE = {"width": 400, "height": 400}
REPORT = "affiliate_stripe.action_report_settlement"


class AffiliatePortal(CustomerPortal):
    """The affiliate's own pages.

    Records are searched with the reader's rights. What affiliates have no rights to
    (terms, referrals) is read as superuser from a record that was checked before.
    """

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "affiliate_count" in counters:
            values["affiliate_count"] = len(self._own_affiliates())
        return values

    @http.route("/my/affiliate", type="http", auth="user", website=True, readonly=True)
    def portal_my_affiliates(self, **_kw):
        """List the reader's enrolments; where there is one only, show that."""
        affiliates = self._own_affiliates()
        if len(affiliates) == 1:
            return request.redirect(affiliates.access_url)
        values = self._affiliate_values(affiliates=affiliates.sudo())
        values["programs"] = request.env["affiliate.program"]._get_public(
            request.website.company_id
        )
        return request.render("affiliate_stripe.portal_my_affiliates", values)

    @http.route(
        "/my/affiliate/<int:affiliate_id>",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_affiliate(self, affiliate_id, **_kw):
        try:
            affiliate = self._document_check_access("affiliate.affiliate", affiliate_id)
        except (AccessError, MissingError):
            return request.redirect("/my")
        values = self._affiliate_values(
            affiliate=affiliate,
            figures=affiliate._get_portal_figures(),
            referrals=affiliate._get_portal_referrals(limit=LATEST),
            referral_count=affiliate._get_portal_referral_count(),
            visit_count=affiliate._get_portal_visit_count(),
            commissions=self._commissions(
                [("affiliate_id", "=", affiliate_id)], LATEST
            ),
            settlements=self._settlements(affiliate_id),
        )
        return request.render("affiliate_stripe.portal_my_affiliate", values)

    @http.route(
        [
            "/my/affiliate/<int:affiliate_id>/commissions",
            "/my/affiliate/<int:affiliate_id>/commissions/page/<int:page>",
        ],
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_commissions(
        self, affiliate_id, page=1, sortby=None, filterby=None, **_kw
    ):
        try:
            affiliate = self._document_check_access("affiliate.affiliate", affiliate_id)
        except (AccessError, MissingError):
            return request.redirect("/my")
        values = self._prepare_commission_list(affiliate, page, sortby, filterby)
        return request.render("affiliate_stripe.portal_my_commissions", values)

    @http.route(
        [
            "/my/affiliate/<int:affiliate_id>/customers",
            "/my/affiliate/<int:affiliate_id>/customers/page/<int:page>",
        ],
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_referrals(self, affiliate_id, page=1, **_kw):
        try:
            affiliate = self._document_check_access("affiliate.affiliate", affiliate_id)
        except (AccessError, MissingError):
            return request.redirect("/my")
        total, step = affiliate._get_portal_referral_count(), self._items_per_page
        url = f"{affiliate.access_url}/customers"
        pager = portal_pager(url=url, total=total, page=page, step=step)
        offset = max(pager["offset"], 0)
        referrals = affiliate._get_portal_referrals(offset=offset, limit=step)
        values = self._affiliate_values(
            "customers", affiliate=affiliate, referrals=referrals, pager=pager
        )
        return request.render("affiliate_stripe.portal_my_referrals", values)

    @http.route(
        [
            "/my/affiliate/<int:affiliate_id>/links",
            "/my/affiliate/<int:affiliate_id>/links/page/<int:number>",
        ],
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_links(
        self, affiliate_id, number=1, code="", page="", sub="", campaign="", **_kw
    ):
        """Put a link together, with its QR code, and show what came by each sub-id.

        :param int number: page of the figures
        """
        try:
            affiliate = self._document_check_access("affiliate.affiliate", affiliate_id)
        except (AccessError, MissingError):
            return request.redirect("/my")
        codes = affiliate._codes_in_order().filtered(lambda c: c.state != "inactive")
        if not codes or not affiliate.link:
            return request.redirect(affiliate.access_url)
        chosen = codes.filtered(lambda c: c.code == code) or codes[0]
        typed = {"page": page.strip(), "sub": sub.strip(), "campaign": campaign.strip()}
        values = self._affiliate_values(
            "links",
            affiliate=affiliate,
            codes=codes,
            chosen=chosen,
            typed=typed,
            **self._sub_id_figures(affiliate, number, {"code": code, **typed}),
        )
        try:
            link, short_link = chosen._make_link(*typed.values())
        except UserError as problem:
            values["problem"] = str(problem)
        else:
            qr_code = {"barcode_type": "QR", "value": short_link, **QR_SIZE}
            values |= {
                "link": link,
                "short_link": short_link,
                "qr_code": f"/report/barcode?{urlencode(qr_code)}",
            }
        return request.render("affiliate_stripe.portal_my_links", values)

    def _sub_id_figures(self, affiliate, number, asked):
        """Return a page of figures and its pager; what is asked of the link stays."""
        step = self._items_per_page
        number = min(max(number, 1), MAX_PAGE)
        first = (number - 1) * step
        total, figures = affiliate._get_portal_sub_ids(offset=first, limit=step)
        if first and not figures:  # beyond the last one
            return self._sub_id_figures(affiliate, 1, asked)
        return {
            "figures": figures,
            "pager": portal_pager(
                url=f"{affiliate.access_url}/links",
                url_args={name: text for name, text in asked.items() if text},
                total=total,
                page=number,
                step=step,
            ),
        }

    @http.route(
        "/my/affiliate/settlement/<int:settlement_id>",
        type="http",
        auth="public",
        website=True,
    )
    def portal_my_settlement(
        self, settlement_id, access_token=None, download=False, **_kw
    ):
        """Show the statement as a PDF file."""
        try:
            settlement = self._document_check_access(
                "affiliate.settlement", settlement_id, access_token
            )
        except (AccessError, MissingError):
            return request.redirect("/my")
        if settlement.step == "draft":
            return request.redirect("/my/affiliate")
        return self._show_report(settlement, "pdf", REPORT, download)

    def _own_affiliates(self):
        """Return the reader's enrolments, with the reader's rights.

        People of the company may read all affiliates; these here are their own.
        """
        affiliates = request.env["affiliate.affiliate"]
        if not affiliates.has_access("read"):
            return affiliates
        partner = request.env.user.partner_id.commercial_partner_id
        return affiliates.search([("partner_id", "child_of", partner.id)])

    def _affiliate_values(self, page_name="affiliate", **values):
        return {
            **self._prepare_portal_layout_values(),
            "page_name": f"affiliate_{page_name}",
            **values,
        }

    def _commissions(self, domain, limit, order=None, offset=0):
        return request.env["affiliate.commission"].search(
            domain, order=order, limit=limit, offset=offset
        )

    def _settlements(self, affiliate_id):
        """Return the latest settlements, as superuser for the state of their bills.

        Drafts are not the affiliate's yet: commissions may still leave them.
        """
        return (
            request.env["affiliate.settlement"]
            .search(
                [
                    ("affiliate_id", "=", affiliate_id),
                    ("state", "in", ("confirmed", "billed", "paid")),
                ],
                limit=SETTLEMENTS,
            )
            .sudo()
        )

    def _commission_sortings(self):
        env = request.env
        return {
            "newest": {"label": env._("Newest"), "order": "date desc, id desc"},
            "oldest": {"label": env._("Oldest"), "order": "date, id"},
            "amount": {"label": env._("Amount"), "order": "amount desc, id desc"},
        }

    def _commission_filters(self):
        env = request.env
        return {
            "all": {"label": env._("All"), "domain": []},
            "pending": {
                "label": env._("On hold"),
                "domain": [("state", "=", "pending")],
            },
            "due": {"label": env._("Due"), "domain": [("state", "=", "approved")]},
            "settled": {
                "label": env._("Settled"),
                "domain": [("state", "=", "settled")],
            },
            "paid": {"label": env._("Paid"), "domain": [("state", "=", "paid")]},
            "rejected": {
                "label": env._("Rejected"),
                "domain": [("state", "=", "void")],
            },
        }

    def _prepare_commission_list(self, affiliate, page, sortby, filterby):
        sortings, filters = self._commission_sortings(), self._commission_filters()
        sortby = sortby if sortby in sortings else "newest"
        filterby = filterby if filterby in filters else "all"
        domain = [("affiliate_id", "=", affiliate.id), *filters[filterby]["domain"]]
        url = f"{affiliate.access_url}/commissions"
        step = self._items_per_page
        pager = portal_pager(
            url=url,
            url_args={"sortby": sortby, "filterby": filterby},
            total=request.env["affiliate.commission"].search_count(domain),
            page=page,
            step=step,
        )
        offset = max(pager["offset"], 0)
        return self._affiliate_values(
            "commissions",
            affiliate=affiliate,
            commissions=self._commissions(
                domain, step, sortings[sortby]["order"], offset
            ),
            pager=pager,
            default_url=url,
            searchbar_sortings=sortings,
            searchbar_filters=filters,
            sortby=sortby,
            filterby=filterby,
        )
