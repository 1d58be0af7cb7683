from odoo import api, fields, models

from ..lib import attribution, why
from .affiliate_referral_candidates import Policies, moment

ICONS = {
    why.VISIT: "fa-mouse-pointer",
    why.PAYMENT: "fa-credit-card",
    why.MOVE: "fa-exchange",
    attribution.CODE: "fa-tag",
    attribution.MANUAL: "fa-hand-o-right",
    attribution.METADATA: "fa-link",
    attribution.REFERENCE: "fa-link",
}


class AffiliateReferral(models.Model):
    """The story of a referral, in the order in which things happened."""

    _inherit = "affiliate.referral"

    why = fields.Html(compute="_compute_why", sanitize=False)

    @api.depends("evidence", "visitor")
    def _compute_why(self):
        for referral in self:
            steps = referral._why_steps()
            referral.why = steps and self.env["ir.qweb"]._render(
                "affiliate_stripe.referral_why", {"steps": steps}
            )

    def _why_steps(self):
        """Return what the template shows: dicts of texts."""
        self.ensure_one()
        story = why.told((self.evidence or {}).get("timeline") or self._why_so_far())
        # Stories that are kept name objects as Stripe does.
        texts = self.stripe_account_id._in_words([step["text"] for step in story])
        ids = {step["affiliate"] for step in story if step["affiliate"]}
        affiliates = self.env["affiliate.affiliate"].sudo().browse(ids).exists()
        names = {affiliate.id: affiliate.display_name for affiliate in affiliates}
        kinds, verdicts = self._why_kinds(), self._why_verdicts()
        unvisited = self.env._("Our server had recorded no visit before this lead.")
        return [
            {
                "date": moment(step["at"]),
                "icon": ICONS.get(step["kind"], "fa-envelope-o"),
                "title": kinds[step["kind"]],
                "affiliate": names.get(step["affiliate"], ""),
                "text": text,
                "won": step["verdict"] in (why.WON, why.MOVED),
                "lost": step["verdict"]
                not in (why.WON, why.MOVED, why.AGREES, why.LED_BY, None),
                "verdict": " ".join(
                    filter(
                        None,
                        [
                            verdicts.get(step["verdict"]),
                            unvisited if step.get("weak") else "",
                        ],
                    )
                ),
            }
            for step, text in zip(story, texts, strict=True)
        ]

    def _why_so_far(self):
        """Return the story of a lead of whom Stripe knows nothing yet."""
        if self.source == attribution.CODE or not self.affiliate_id:
            return []
        policies = Policies()
        clicks = self.sudo()._clicks_of(
            self.stripe_account_id, {self.visitor or ""} - {""}
        )
        candidates = attribution.led_by_visits(
            [self._to_candidate(policies)],
            {
                visitor: [click._to_visit(policies) for click in found]
                for visitor, found in clicks.items()
            },
        )
        return why.timeline(
            attribution.explain([], candidates, attribution.decide([], candidates))
        )

    @api.model
    def _why_kinds(self):
        return {
            **dict(self._fields["source"]._description_selection(self.env)),
            why.VISIT: self.env._("Visit"),
            why.PAYMENT: self.env._("The payment that decided"),
            why.MOVE: self.env._("Moved by hand"),
        }

    @api.model
    def _why_verdicts(self):
        return {
            why.WON: self.env._("This decided."),
            why.MOVED: self.env._("Decided by a person."),
            why.AGREES: self.env._("Agrees: it names the same affiliate."),
            why.LED_BY: self.env._("Showed which visits belonged to this person."),
            attribution.REFUSED: self.env._(
                "Does not count: a manager refused this affiliate."
            ),
            attribution.UNDATED: self.env._(
                "Does not count: metadata has no date, and takes nobody over."
            ),
            attribution.SEARCHED: self.env._(
                "Does not count: found by a search engine."
            ),
            attribution.ADVERTISED: self.env._("Does not count: paid advertising."),
            attribution.AFTER_PAYMENT: self.env._(
                "Does not count: it came after the payment that decided."
            ),
            attribution.EXPIRED: self.env._(
                "Does not count: it waited too long for the first payment."
            ),
            attribution.OUTSIDE_WINDOW: self.env._(
                "Does not count: too many days before sign-up or payment."
            ),
            attribution.KNOWN_BEFORE: self.env._(
                "Does not count: the person was a customer before."
            ),
            attribution.UNVISITED: self.env._(
                "Does not count: the program ignores leads without a visit."
            ),
            attribution.CREATED_BEFORE: self.env._(
                "Does not count: a lead without a visit takes nobody who was in Stripe "
                "before it."
            ),
            attribution.WEAK: self.env._(
                "Lost: a lead without a visit comes after all other evidence."
            ),
            attribution.WEAKER: self.env._("Lost to stronger evidence."),
            attribution.SEEN_LATER: self.env._(
                "Lost: it became known after the payment that decided."
            ),
            attribution.NOT_FIRST: self.env._("Lost: the first contact counts."),
            attribution.NOT_LAST: self.env._("Lost: the last contact counts."),
        }
