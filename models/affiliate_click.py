import logging
from datetime import timedelta

from psycopg2.errors import LockNotAvailable

from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import hmac

from ..lib import visits

_logger = logging.getLogger(__name__)

# A second hit within that time belongs to the same visit.
SAME_VISIT = timedelta(minutes=30)
CLICK_DAYS = 400  # kept, unless the setting says otherwise
LOOKED_AT, ENOUGH = 1000, 10  # visits by which proxies are judged
VISITS_A_MINUTE = 60  # of one address; more are not recorded
FLOOD, LOCKED = "flood", "locked"  # why a visit was not recorded
CODE = """
    WITH code AS (  -- the code, and whether a visit by it counts
        SELECT c.id, c.code, c.affiliate_id, c.program_id, c.company_id,
               p.public_key,
               %(counted)s AND NOT (
                   %(private)s AND p.respect_privacy_signals IS TRUE
               ) AS counted,
               a.state = 'active' AND c.state != 'inactive' AS live
          FROM affiliate_code c
          JOIN affiliate_affiliate a ON a.id = c.affiliate_id
          JOIN affiliate_program p ON p.id = c.program_id AND p.active
          JOIN affiliate_stripe_account s ON s.id = c.stripe_account_id
         WHERE upper(c.code) = %(code)s
           AND COALESCE(%(program)s, c.program_id) = c.program_id
      ORDER BY s.livemode DESC, c.id
         LIMIT 1
    )"""
# Without the visits, which may be locked.
LOOK_UP = f"{CODE} SELECT public_key, CASE WHEN live THEN code END FROM code"
# One statement: a visit is one way to the database, whatever comes of it.
RECORD = f"""{CODE}
    , busy AS (  -- whether this address comes too often
        SELECT COUNT(*) >= %(limit)s AS busy FROM (
            SELECT FROM affiliate_click
             WHERE ip_hash = %(ip_hash)s
               AND date > (clock_timestamp() AT TIME ZONE 'UTC')
                          - INTERVAL '1 minute'
             LIMIT %(limit)s) lately
    ), moved AS (  -- the same person was here a moment ago, as somebody else
        UPDATE affiliate_click
           SET visitor = %(visitor)s,
               write_date = clock_timestamp() AT TIME ZONE 'UTC'
         WHERE visitor = %(was)s AND date > %(recently)s
           AND program_id = (SELECT program_id FROM code)
           AND %(movable)s
     RETURNING code_id
    ), stored AS (  -- a new visit, unless one goes on
        INSERT INTO affiliate_click
               (visitor, code_id, affiliate_id, program_id, company_id,
                date, write_date, %(names)s)
        SELECT %(visitor)s, code.id, affiliate_id, program_id, company_id,
               clock_timestamp() AT TIME ZONE 'UTC',
               clock_timestamp() AT TIME ZONE 'UTC', %(values)s
          FROM code, busy
         WHERE live AND counted AND NOT busy
           AND code.id NOT IN (SELECT code_id FROM moved)
           AND NOT EXISTS (
               SELECT FROM affiliate_click known
                WHERE visitor = %(visitor)s AND code_id = code.id
                  AND date > %(recently)s)
    )
    SELECT public_key, CASE WHEN live THEN code END, busy AND counted
      FROM code, busy
"""


class AffiliateClick(models.Model):
    """A visit: somebody came by an affiliate's link.

    All visits of one browser share the visitor's id, so that first and last contact,
    the window and who else brought this person are known when he pays.
    """

    _name = "affiliate.click"
    _description = "Affiliate visit"
    _order = "date desc, id desc"
    _rec_name = "landing_url"

    visitor = fields.Char(required=True, readonly=True)
    code_id = fields.Many2one(
        "affiliate.code", required=True, readonly=True, ondelete="restrict"
    )
    affiliate_id = fields.Many2one(
        "affiliate.affiliate", required=True, readonly=True, ondelete="restrict"
    )
    program_id = fields.Many2one(
        "affiliate.program", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    date = fields.Datetime(required=True, readonly=True)
    landing_url = fields.Char(string="Page", readonly=True)
    referrer = fields.Char(string="Came from", readonly=True)
    sub_id = fields.Char(string="Sub-id", readonly=True)
    utm_source = fields.Char(string="Source", readonly=True)
    utm_medium = fields.Char(string="Medium", readonly=True)
    utm_campaign = fields.Char(string="Campaign", readonly=True)
    search_engine = fields.Char(
        string="Search engine",
        readonly=True,
        help="The search engine on whose pages the visitor found the link.",
    )
    ad_network = fields.Char(
        string="Paid advertising",
        readonly=True,
        help="Whose advertisement the visitor clicked, by the parameters it adds.",
    )
    ip_hash = fields.Char(readonly=True)  # keyed: can be counted, but not read
    country_code = fields.Char(string="Country", readonly=True)
    proxies = fields.Integer(readonly=True)  # see _proxies_missed

    _visitor_idx = models.Index("(visitor, date)")
    _affiliate_idx = models.Index("(affiliate_id, date)")
    _code_idx = models.Index("(code_id)")
    _ip_idx = models.Index("(ip_hash, date)")
    _changed_idx = models.Index("(write_date)")

    @api.model
    def _record(
        self,
        program_id,
        reference,
        visit,
        address,
        country=None,
        was=None,
        private=False,
        proxies=None,
    ):
        """Record a visit, in one statement and a transaction of its own.

        Hits of the same visitor by the same code are one visit; unknown codes,
        affiliates who do not work and floods are not recorded.

        :param int program_id: whose code it must be; None: any programme
        :param Reference reference: its ``visitor`` is set, see ``_issued``
        :param Visit visit: where he landed; None: only look the code up
        :param address: of the visitor, None where it is not known
        :param str was: another id of the same visitor, made on his way here
        :param bool private: he wants no traces: not recorded where the programme
            respects that
        :param int proxies: that he seems to have come by, None for none
        :return: (key of the programme, code, ``FLOOD`` or ``LOCKED`` where it was not
            recorded); the code is None where it counts no more, all are where it is
            nobody's
        :raise psycopg2.errors.LockNotAvailable: codes are locked, so nobody knows
        """
        values = {
            "code": reference.code,
            "program": program_id,
            "counted": visit is not None,
            "private": private,
        }
        if visit:
            try:
                ip_hash = self._hash(address)
                columns = self._columns(visit, ip_hash, country)
                columns["proxies"] = proxies
                row = self._ask(
                    SQL(
                        RECORD,
                        **values,
                        visitor=reference.visitor,
                        was=was,
                        movable=_movable(was),
                        recently=SQL(
                            "(clock_timestamp() AT TIME ZONE 'UTC') - %s", SAME_VISIT
                        ),
                        names=SQL(", ").join(map(SQL.identifier, columns)),
                        values=SQL(", ").join(
                            SQL("%s", value) for value in columns.values()
                        ),
                        ip_hash=ip_hash,
                        limit=VISITS_A_MINUTE,
                    )
                )
                key, known, busy = row or (None, None, False)
                return key, known, FLOOD if busy else ""
            except LockNotAvailable:
                _logger.info("A visit is lost: somebody has locked the visits.")
        key, known = self._ask(SQL(LOOK_UP, **values)) or (None, None)
        return key, known, LOCKED if visit else ""

    @api.model
    def _ask(self, statement):
        with self.env["affiliate.stripe.sync"]._statements() as cr:
            self.env["affiliate.stripe.sync"]._hurry(cr, statement)
            return cr.fetchone()

    @api.model
    def _columns(self, visit, ip_hash, country):
        """Return what is kept of a visit, ``{column: value}``."""
        return {
            "landing_url": visit.landing_url or None,
            "referrer": visit.referrer or None,
            "sub_id": visit.sub_id or None,
            **{name: getattr(visit, name) or None for name in visits.UTM},
            "search_engine": visit.search_engine or None,
            "ad_network": visit.ad_network or None,
            "ip_hash": ip_hash,
            "country_code": country or None,
        }

    @api.model
    def _hash(self, address):
        """Return what an address can be recognised by, not read from; None for None."""
        if not address:
            return None
        network = visits.network_of(address)
        return hmac(self.env(su=True), "affiliate_stripe.click", network)[:32]

    @api.model
    def _sub_ids(self, visit_ids):
        """Return ``{id: sub-id}`` of those visits that are not forgotten.

        :param visit_ids: ids, None among them
        """
        wanted = [visit for visit in visit_ids if visit]
        if not wanted:
            return {}
        found = self.sudo().search_fetch([("id", "in", wanted)], ["sub_id"])
        return {click.id: click.sub_id for click in found}

    @api.autovacuum
    def _gc_clicks(self):
        """Forget visits older than the setting; nobody is paid by them any more."""
        days = self.env["affiliate.stripe.event"]._retention_days(
            "click_days", CLICK_DAYS
        )
        limit = fields.Datetime.now() - timedelta(days=days)
        self.search([("date", "<", limit)], limit=10_000).unlink()

    # === PROXIES === #

    @api.model
    def _trusted_proxies(self):
        """Return how many proxies stand before Odoo, by the setting: 1 at least."""
        parameters = self.env["ir.config_parameter"].sudo()
        number = parameters.get_param("affiliate_stripe.trusted_proxies", "1")
        return max(1, int(number)) if number.isdecimal() else 1

    @api.model
    def _proxies_missed(self):
        """Return how many proxies there seem to be, where most visits of the last day
        came by more than the setting says; else 0.

        A visitor can pretend to come by more, so a few say nothing.
        """
        self.env.cr.execute(
            """SELECT COALESCE(proxies, 0), COUNT(*)
                 FROM (SELECT date, proxies FROM affiliate_click
                     ORDER BY id DESC LIMIT %s) lately
                WHERE date > (clock_timestamp() AT TIME ZONE 'UTC')
                             - INTERVAL '1 day'
             GROUP BY 1 ORDER BY 2 DESC""",
            [LOOKED_AT],
        )
        counts, trusted = dict(self.env.cr.fetchall()), self._trusted_proxies()
        more = {number: count for number, count in counts.items() if number > trusted}
        total = sum(counts.values())
        if total < ENOUGH or sum(more.values()) * 2 <= total:
            return 0
        return max(more, key=more.get)

    # === VISITORS === #

    @api.model
    def _new_visitor(self):
        """Return a new id for a visitor, which ends with our signature."""
        return visits.new_visitor(self._sign)

    @api.model
    def _issued(self, code, visitor=""):
        """Return the Reference of a code and a visitor: of the one that a browser
        names where our server has issued this id, else of a new one."""
        try:
            known = self._believed(visits.Reference(code, visitor)).visitor
        except LockNotAvailable:
            known = ""  # whoever follows a link waits for nobody: he gets a new id
        return visits.Reference(code, known or self._new_visitor())

    @api.model
    def _believed(self, reference):
        """Return a Reference, without its visitor where the id is not one of ours.

        What has visits was issued: the key is another one in a restored database.

        :raise psycopg2.errors.LockNotAvailable: visits are locked, so nobody knows
        """
        visitor = reference.visitor
        if visitor and not visits.is_issued(visitor, self._sign):
            if not self._has_visits(visitor):
                return visits.Reference(reference.code)
        return reference

    @api.model
    def _has_visits(self, visitor):
        known = SQL("SELECT 1 FROM affiliate_click WHERE visitor = %s LIMIT 1", visitor)
        return bool(self._ask(known))

    @api.model
    def _sign(self, text):
        return hmac(self.env(su=True), "affiliate_stripe.visitor", text)


def _movable(was):
    """Return the SQL that tells whether visits under another id may be moved: what
    stands behind a lead stays there. Without such an id no lead is asked for, which
    may be locked."""
    if not was:
        return SQL("FALSE")
    return SQL("NOT EXISTS (SELECT FROM affiliate_referral WHERE visitor = %s)", was)
