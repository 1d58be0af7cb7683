"""The script for foreign sites, in a real browser."""

import time

from odoo.tests import tagged

from .foreign_site import INSIDE, ForeignSiteCase

DAY = 86400
BUY = "https://buy.stripe.com/test_1"


@tagged("post_install", "-at_install")
class TestSdk(ForeignSiteCase):
    """The script itself. One class, for starting a browser takes long."""

    # === ARRIVING === #

    def test_recorded_and_remembered(self):
        self.page("/", f'<a id="buy" href="{BUY}">Buy</a>')
        self.visit(f"/?via={self.code.lower()}&utm_source=a{{b}}|c")
        [click] = self.clicks(1)
        self.assertEqual(click["reference"], self.code)
        reference = self.js("affiliate.referral")
        self.assertRegex(reference, rf"^{self.code}_[A-Za-z0-9]{{32}}$")
        self.assertEqual(self.cookie(), reference)
        self.assertTrue(self.js("localStorage.affiliate_ref").startswith(reference))
        self.assertEqual(self.js("affiliate.referral"), reference)
        [cookie] = self.visitor.command("Network.getCookies")["cookies"]
        self.assertAlmostEqual(cookie["expires"], time.time() + 60 * DAY, delta=60)
        self.assertEqual(cookie["sameSite"], "Lax")
        self.page("/next", f'<a id="buy" href="{BUY}">Buy</a>')
        self.visit("/next")
        self.assertEqual(
            self.attribute("#buy"), f"{BUY}?client_reference_id={reference}"
        )
        self.assertEqual(self.js("violations"), [])
        self.leave()
        self.assertEqual(len(self.visitor.sent("click")), 0)
        visit = self.env["affiliate.click"].search([])
        self.assertEqual(f"{visit.code_id.code}_{visit.visitor}", reference)
        self.assertEqual(visit.utm_source, "a{b}|c")

    def test_nobody_sent_him(self):
        self.page(
            "/",
            f'<a id="buy" href="{BUY}">Buy</a>',
            early="affiliate('ready', who => window.who = [who]);"
            "document.addEventListener('affiliate:ready', e => window.told=e.detail);",
        )
        self.visit("/?via=%3Cb%3E&ref=&x=ab")
        self.assertEqual(self.js("who"), [None])
        self.assertEqual(self.js("told"), {"referral": None})
        self.assertIsNone(self.js("affiliate.referral"))
        self.assertEqual(self.attribute("#buy"), BUY)
        self.assertIsNone(self.cookie())
        self.assertFalse(self.clicks())

    def test_calls_before_loading_and_by_a_kept_stub(self):
        self.page(
            "/",
            early="window.kept = affiliate; affiliate('nonsense', 1); affiliate();"
            "affiliate('ready', () => { throw Error('of the page'); });"
            "affiliate('ready', who => window.first = who);",
        )
        self.visit(f"/?ref={self.code}")
        self.js("kept('ready', who => window.second = who)")
        self.js("affiliate('nonsense')")
        self.js("affiliate('ready')")
        reference = self.js("affiliate.referral")
        self.assertTrue(reference)
        self.assertEqual(self.js("[first, second]"), [reference, reference])

    def test_in_the_fragment(self):
        self.page("/")
        for address in ("/#via={}", "/?a=1#/pricing?x=1&via={}"):
            self.visit(address.format(self.code))
            self.assertTrue(self.js("affiliate.referral").startswith(self.code))
            self.visitor.forget()

    def test_first_and_last_click(self):
        self.page("/")
        self.visit(f"/?via={self.code}")
        first = self.cookie()
        [before] = self.visitor.command("Network.getCookies")["cookies"]
        self.visit(f"/?via={self.other}")
        second = self.clicks(2)[1]
        self.assertEqual(self.cookie(), first, "the first counts")
        [after] = self.visitor.command("Network.getCookies")["cookies"]
        self.assertEqual(before["expires"], after["expires"], "and its time")
        visitor = first.partition("_")[2]
        self.assertEqual(second["reference"], f"{self.other}_{visitor}")
        self.assertIs(second["store"], False, "our server must not store the second")
        self.leave()
        self.program.attribution_model = "last"
        self.visit(f"/?via={self.code}")
        visitor = self.cookie().partition("_")[2]
        self.visit(f"/?via={self.other}")
        self.assertEqual(self.cookie(), f"{self.other}_{visitor}")
        self.assertIs(self.clicks(2)[1]["store"], True)

    def test_by_our_own_link(self):
        """It brings the visitor's id: the visit is recorded already."""
        self.page("/")
        reference = f"{self.code}_{self.new_visitor()}"
        self.visit(f"/?a=1&via={reference}&b=2#c")
        self.assertEqual(self.cookie(), reference)
        self.assertEqual(
            self.js("location.href"),
            self.site.url(f"/?a=1&via={self.code}&b=2#c"),
            "copied addresses must not share a visitor",
        )
        self.js("history.pushState({}, '', '?x')")
        self.assertFalse(self.clicks())

    def test_by_our_own_link_when_he_is_known(self):
        self.page("/")
        self.visit(f"/?via={self.code}")
        own = self.cookie().partition("_")[2]
        came = self.new_visitor()
        self.visit(f"/?via={self.other}_{came}")
        second = self.clicks(2)[1]
        self.assertEqual(second["reference"], f"{self.other}_{own}")
        self.assertEqual(second["was"], came)
        self.assertNotIn(came, self.js("location.href"))

    def test_a_cookie_of_our_server_is_left_alone(self):
        """Safari keeps it longer than one that a script has set."""
        self.page("/")
        reference = f"{self.code}_{self.new_visitor()}"
        self.visitor.command(
            "Network.setCookie",
            name="affiliate_ref",
            value=reference,
            url=self.site.url(),
            expires=time.time() + 5 * DAY,
        )
        self.visit(f"/?via={reference}")
        self.assertEqual(self.js("affiliate.referral"), reference)
        [cookie] = self.visitor.command("Network.getCookies")["cookies"]
        self.assertLess(cookie["expires"], time.time() + 6 * DAY)

    def test_our_servers_own_cookie_is_forgotten(self):
        """It has no domain where our server is the site."""
        self.page("/")
        reference = f"{self.code}_{self.new_visitor()}"
        self.visitor.command(
            "Network.setCookie",
            name="affiliate_ref",
            value=reference,
            url=self.site.url(host="www.a.localhost"),
        )
        self.visit("/", "www.a.localhost")
        self.assertEqual(self.cookie(), reference)
        self.js("affiliate('consent', false)")
        self.assertEqual(self.visitor.command("Network.getCookies")["cookies"], [])

    def test_local_storage_is_the_second_place(self):
        self.page("/")
        reference = f"{self.code}_{self.new_visitor()}"
        self.visit("/")
        until = int((time.time() + DAY) * 1000)
        self.js(f"localStorage.affiliate_ref = '{reference} {until}'")
        self.visit("/")
        self.assertEqual(self.js("affiliate.referral"), reference)
        self.js(f"localStorage.affiliate_ref = '{reference} {until - 2 * DAY * 1000}'")
        self.visit("/")
        self.assertIsNone(self.js("affiliate.referral"), "its time is over")

    def test_nothing_foreign_from_the_cookie(self):
        self.page("/", f'<a id="buy" href="{BUY}">Buy</a>')
        self.visitor.command(
            "Network.setCookie",
            name="affiliate_ref",
            value="<img>&x=1",
            url=self.site.url(),
        )
        self.visit("/")
        self.assertIsNone(self.js("affiliate.referral"))
        self.assertEqual(self.attribute("#buy"), BUY)

    def test_a_page_that_is_only_prepared(self):
        self.page(
            "/",
            early="Object.defineProperty(document, 'prerendering',"
            "{value: true, configurable: true});"
            "affiliate('ready', who => window.who = who);",
        )
        self.visit(f"/?via={self.code}", ready=False)
        self.visitor.until("document.readyState === 'complete'")
        self.js("affiliate('ready', who => window.late = who)")
        self.assertIsNone(self.js("window.who || affiliate.key || null"))
        self.assertFalse(self.clicks())
        self.js("document.dispatchEvent(new Event('prerenderingchange'))")
        self.assertEqual(len(self.clicks(1)), 1)
        self.visitor.until("window.who && who === late && who.includes('_')")

    def test_twice_on_a_page(self):
        source = f"{self.base_url()}/affiliate/sdk/{self.key}.js"
        self.page("/", f'<script src="{source}"></script>')
        self.visit(f"/?via={self.code}")
        self.assertEqual(len(self.clicks(1)), 1)

    # === OUR SERVER SAYS WHO THE VISITOR IS === #

    DECORATED = (
        f'<a id="buy" href="{BUY}">Buy</a>'
        f'<a id="theirs" href="{BUY}?client_reference_id=theirs">Buy</a>'
        '<a id="away" href="https://else.example/?a=1" data-affiliate>Away</a>'
        '<form data-affiliate="mark"></form>'
        '<input type="hidden" name="via">'
        '<input type="hidden" name="referral" value="x">'
        "<stripe-buy-button></stripe-buy-button>"
        '<stripe-pricing-table client-reference-id="theirs"></stripe-pricing-table>'
    )

    def decorated(self):
        """All references on the page, ours and those of others."""
        return self.js(
            "[buy.search, theirs.search, away.search, document.forms[0].mark.value,"
            "...[...document.querySelectorAll('body > input')].map(e => e.value),"
            "...[...document.querySelectorAll('stripe-buy-button,stripe-pricing-table')]"
            ".map(e => e.getAttribute('client-reference-id'))]"
        )

    def wanted(self, reference):
        return [
            f"?client_reference_id={reference}",
            "?client_reference_id=theirs",
            f"?a=1&via={reference}",
            reference,
            reference,
            "x",
            reference,
            "theirs",
        ]

    def test_the_bare_code_until_our_server_answers(self):
        """Then the whole reference, in the place of ours and of no one else's."""
        self.visitor.silent = ("/click",)
        self.page(
            "/",
            self.DECORATED,
            early="affiliate('ready', who => window.who = who);"
            "affiliate('lead', {email: 'a@b.example'}, yes => window.sent = yes);",
        )
        self.visit(f"/?via={self.code}", ready=False)
        self.visitor.until(
            "window.affiliate && affiliate.key && document.forms[0].mark"
        )
        self.assertEqual(self.js("affiliate.referral"), self.code)
        self.assertEqual(self.decorated(), self.wanted(self.code))
        self.assertEqual(self.js("typeof who + typeof sent"), "undefinedundefined")
        self.visitor.until("window.who && window.sent")
        self.assertEqual(self.js("who"), self.code, "it went on after a second")
        [lead] = self.visitor.sent("lead")
        self.assertEqual(lead["reference"], self.code)
        # The next page asks again, and gets an answer.
        self.visitor.silent = ()
        self.visit("/")
        reference = self.js("affiliate.referral")
        self.assertRegex(reference, f"^{self.code}_")
        self.assertEqual(self.decorated(), self.wanted(reference))
        self.assertEqual(self.cookie(), reference)
        self.assertEqual(self.js("who"), reference)
        self.js("affiliate('lead', {email: 'c@d.example'}, yes => window.sent = 2)")
        self.visitor.until("window.sent === 2")
        self.assertEqual(self.visitor.sent("lead")[-1]["reference"], reference)

    def test_our_server_cannot_be_reached(self):
        self.visitor.refused = ("/affiliate/v1/",)
        self.page("/", self.DECORATED)
        self.visit(f"/?via={self.code}")
        self.assertEqual(self.js("affiliate.referral"), self.code)
        self.assertEqual(self.decorated(), self.wanted(self.code))
        self.assertEqual(self.cookie(), self.code)
        self.assertIs(self.ask("'lead', {email: 'a@b.example'}"), False)

    def test_a_made_up_id_is_replaced(self):
        made_up = f"{self.code}_{'x' * 22}"
        self.page("/", self.DECORATED)
        for place in ("cookie", "address"):
            with self.subTest(place):
                self.visit("/")
                if place == "cookie":
                    self.js(f"document.cookie = 'affiliate_ref={made_up}'")
                    self.visit(f"/?via={self.other}")
                else:
                    self.visit(f"/?via={made_up}")
                    self.visit(f"/?via={self.other}")
                reference = self.js("affiliate.referral")
                self.assertRegex(reference, f"^{self.code}_")
                self.assertNotIn("xxx", reference)
                self.assertEqual(self.decorated(), self.wanted(reference))
                self.assertEqual(self.cookie(), reference)
                self.visitor.forget()

    def test_two_codes_at_once_are_one_visitor(self):
        self.page("/", early=f"history.replaceState({{}}, '', '?via={self.other}');")
        self.program.attribution_model = "last"
        self.visit("/")
        self.js(f"history.pushState({{}}, '', '?via={self.code}')")
        self.js("new Promise(done => affiliate('ready', () => done()))")
        self.clicks(2)
        self.leave()
        visits = self.env["affiliate.click"].search([])
        self.assertEqual(len(visits), 2)
        self.assertEqual(len(set(visits.mapped("visitor"))), 1)

    def test_the_form_in_a_page_is_loaded_once_when_it_is_known_for_whom(self):
        form = f"{self.base_url()}/affiliate/form/{self.key}?embed=1"
        self.page("/", f'<iframe src="{form}"></iframe>')
        self.visit(f"/?via={self.code}")
        reference = self.js("affiliate.referral")
        self.visitor.until(
            "document.querySelector('iframe').src.includes('reference=')"
        )
        self.assertEqual(
            self.attribute("iframe", "src"), f"{form}&reference={reference}"
        )
        self.leave()
        self.assertEqual(len(self.env["affiliate.click"].search([])), 1)

    # === SINGLE-PAGE APPLICATIONS === #

    def test_each_code_once(self):
        self.page("/")
        self.visit(f"/?via={self.code}")
        for address in ("/a", f"/b?via={self.code}", f"/c?via={self.other}", "/d"):
            self.js(f"history.pushState({{}}, '', '{address}')")
        codes = [click["reference"].partition("_")[0] for click in self.clicks(2)]
        self.assertEqual(codes, [self.code, self.other])
        self.assertEqual(self.js("location.pathname"), "/d")
        self.js("history.back()")
        self.visitor.until("location.pathname === '/c'")
        self.js(f"location.hash = 'via={self.other}'")
        self.assertEqual(len(self.clicks()), 2)

    def test_a_router_brings_a_visitor(self):
        self.page("/")
        self.visit("/")
        reference = f"{self.code}_{self.new_visitor()}"
        self.js("window.steps = history.length")
        self.js(f"history.pushState({{own: 1}}, '', '/x?via={reference}&y#z')")
        self.assertEqual(self.cookie(), reference)
        self.assertEqual(
            self.js("[location.href, history.state, history.length - steps]"),
            [self.site.url(f"/x?via={self.code}&y#z"), {"own": 1}, 1],
        )
        self.js("history.pushState({}, '', '/y')")
        self.assertEqual(self.js("location.pathname"), "/y")
        self.assertFalse(self.clicks(), "his visit is known already")

    def test_a_router_goes_on_after_a_visitor_was_brought(self):
        self.page("/")
        self.visit(f"/?via={self.code}_{self.new_visitor()}")
        self.js("history.pushState({}, '', '/y')")
        self.assertEqual(
            self.js("affiliate.core.log.filter(([what]) => what === 'error').length"), 0
        )

    def test_a_router_was_faster(self):
        self.page("/", early="history.replaceState({}, '', '/clean');")
        self.visit(f"/?via={self.code}")
        self.assertTrue(self.js("affiliate.referral").startswith(self.code))
        self.assertEqual(self.js("location.pathname + location.search"), "/clean")

    def test_the_routers_state_stays(self):
        self.page("/", early="history.replaceState({own: 1}, '');")
        self.visit(f"/?via={self.code}_{self.new_visitor()}")
        self.assertEqual(self.js("history.state"), {"own": 1})

    def test_back(self):
        self.page("/", f'<a id="buy" href="{BUY}">Buy</a><a id="go" href="/on">On</a>')
        self.page("/on")
        self.visit(f"/?via={self.code}")
        reference = self.cookie()
        self.clicks(1)
        self.visitor.click("#go")
        self.visitor.until("location.pathname === '/on' && affiliate.key")
        self.js("history.back()")
        self.visitor.until("location.pathname === '/' && affiliate.key")
        self.assertIn(reference, self.attribute("#buy"))
        self.assertEqual(self.cookie(), reference)

    # === LINKS, FORMS, STRIPE'S ELEMENTS === #

    def arrive(self, body):
        self.page("/", body)
        self.visit(f"/?via={self.code}")
        self.visitor.until("document.readyState === 'complete'")
        return self.js("affiliate.referral")

    def test_links(self):
        mine = f"client_reference_id={self.code}_0123456789abcdefghij"
        ours = "client_reference_id=REF"
        pay = "https://pay.acme.com/b"
        links = (
            (BUY, "", f"{BUY}?client_reference_id=REF"),
            *(
                (other, "", f"{other}?client_reference_id=REF")
                for other in (
                    "https://donate.stripe.com/1",
                    "https://book.stripe.com/1",
                )
            ),
            (
                f"{BUY}?prefilled_email=a%40b.c&x#y",
                "",
                f"{BUY}?prefilled_email=a%40b.c&x&client_reference_id=REF#y",
            ),
            (
                f"{BUY}?client_reference_id=&x=1",
                "",
                f"{BUY}?client_reference_id=REF&x=1",
            ),
            (f"{BUY}?client_reference_id=own", "", None),
            (f"{BUY}?{mine}", "", None),
            ("https://book.stripe.com/1", "", "https://book.stripe.com/1?" + ours),
            ("https://donate.stripe.com/1", "", "https://donate.stripe.com/1?" + ours),
            ("https://dashboard.stripe.com/1", "", None),
            ("https://buy.stripe.com.evil.example/", "", None),
            (pay, "", None),
            (pay, "data-affiliate-checkout", f"{pay}?client_reference_id=REF"),
            ("https://else.example/?a=b c", "", None),
            (
                "https://else.example/?a=b+c",
                "data-affiliate",
                "https://else.example/?a=b+c&via=REF",
            ),
            ("https://else.example/?via=X", "data-affiliate", None),
            ("/signup", "", None),
            ("mailto:a@b.c", "", None),
            ("mailto:a@b.c?subject=x", "data-affiliate", None),
            ("tel:+123", "data-affiliate", None),
            ("javascript:void(0)", "data-affiliate", None),
        )
        body = "".join(
            f'<a id="a{number}" href="{before}" {attributes}>x</a>'
            for number, (before, attributes, _after) in enumerate(links)
        )
        reference = self.arrive(body)
        for number, (before, _attributes, after) in enumerate(links):
            wanted = after.replace("REF", reference) if after else before
            self.assertEqual(self.attribute(f"#a{number}"), wanted, before)
        self.assertEqual(self.js("violations"), [])

    def test_stripes_elements(self):
        reference = self.arrive(
            "<stripe-pricing-table></stripe-pricing-table>"
            "<stripe-buy-button></stripe-buy-button>"
            '<stripe-buy-button id="own" client-reference-id="x"></stripe-buy-button>'
        )
        name = "client-reference-id"
        self.assertEqual(self.attribute("stripe-pricing-table", name), reference)
        self.assertEqual(self.attribute("stripe-buy-button", name), reference)
        self.assertEqual(self.attribute("#own", name), "x")

    def test_added_later(self):
        self.arrive('<div id="later"></div>')
        reference = self.js("""(async () => {
            const box = document.createElement("section");
            const link = document.createElement("a");
            link.href = "https://buy.stripe.com/later";
            box.append(link, document.createElement("stripe-pricing-table"));
            later.append(box, document.createElement("stripe-buy-button"), "text");
            await new Promise(done => setTimeout(done));
            return [link.href, ...[...later.querySelectorAll("*")].map(
                element => element.getAttribute("client-reference-id"))];
        })()""")
        known = self.js("affiliate.referral")
        self.assertEqual(
            reference,
            [
                f"https://buy.stripe.com/later?client_reference_id={known}",
                *(None, None, known, known),
            ],
        )

    def test_changed_before_the_click(self):
        self.arrive(f'<a id="buy" href="{BUY}">Buy</a>')
        known = self.js("affiliate.referral")
        self.js("buy.href = 'https://buy.stripe.com/changed'")
        self.visitor.click("#buy")
        self.visitor.until("location.hostname === 'buy.stripe.com'")
        self.assertEqual(
            self.js("location.href"),
            f"https://buy.stripe.com/changed?client_reference_id={known}",
        )

    def test_changed_before_the_click_on_a_component_in_it(self):
        self.arrive(f'<a id="buy" href="{BUY}"><x-icon></x-icon></a>')
        self.js(INSIDE.format(name="x-icon", text="icon"))
        self.js("buy.href = 'https://buy.stripe.com/changed'")
        known = self.cookie()
        self.visitor.click("x-icon")
        self.visitor.until("location.hostname === 'buy.stripe.com'")
        self.assertEqual(
            self.js("location.href"),
            f"https://buy.stripe.com/changed?client_reference_id={known}",
        )

    def test_the_last_code_replaces_ours(self):
        self.program.attribution_model = "last"
        self.arrive(f'<a id="buy" href="{BUY}">x</a><stripe-buy-button/>')
        self.js(f"history.pushState({{}}, '', '/?via={self.other}')")
        known = self.js("affiliate.referral")
        self.assertTrue(known.startswith(self.other))
        self.assertEqual(self.attribute("#buy"), f"{BUY}?client_reference_id={known}")
        name = "client-reference-id"
        self.assertEqual(self.attribute("stripe-buy-button", name), known)

    def test_forms(self):
        reference = self.arrive(
            '<form id="marked" data-affiliate><input name="email"></form>'
            '<form id="named" data-affiliate="partner"></form>'
            '<form id="has"><input type="hidden" name="affiliate_ref">'
            '<input type="hidden" name="csrf" value="">'
            '<input type="hidden" name="via" value="own">'
            '<input type="text" name="referral"></form>'
        )
        data = "Object.fromEntries(new FormData(document.querySelector('{}')))"
        self.assertEqual(
            self.js(data.format("#marked")), {"email": "", "affiliate_ref": reference}
        )
        self.assertEqual(self.js(data.format("#named")), {"partner": reference})
        self.assertEqual(
            self.js(data.format("#has")),
            {"affiliate_ref": reference, "csrf": "", "via": "own", "referral": ""},
        )

    def test_forms_that_come_late_or_are_emptied(self):
        reference = self.arrive('<form action="/done"></form>')
        self.page("/done")
        self.js("""(() => {
            const form = document.forms[0];
            form.dataset.affiliate = "";
            const lone = document.createElement("input");
            lone.type = "hidden"; lone.name = "csrf";
            form.append(lone);
        })()""")
        self.js("document.forms[0].requestSubmit()")
        self.visitor.until("location.pathname === '/done'")
        self.assertEqual(
            self.js("location.search"), f"?csrf=&affiliate_ref={reference}"
        )

    def test_handed_over_to_another_domain(self):
        self.program.write(
            {
                "signup_url": self.site.url(host="www.a.localhost"),
                "allowed_domains": "b.localhost",
            }
        )
        there = self.site.url("/there?x=1", "app.b.localhost")
        self.page(
            "/",
            f'<a id="there" href="{there}">x</a>'
            f'<a id="here" href="{self.site.url("/here", "app.a.localhost")}">x</a>',
        )
        self.page("/there")
        self.visit(f"/?via={self.code}", "www.a.localhost")
        reference = self.cookie()
        [cookie] = self.visitor.command("Network.getCookies")["cookies"]
        self.assertEqual(cookie["domain"], ".a.localhost", "the registrable domain")
        self.assertNotIn(reference, self.attribute("#here"), "the cookie is there too")
        self.clicks(1)
        self.visitor.click("#there")
        self.visitor.until("location.pathname === '/there' && affiliate.key")
        self.assertEqual(self.cookie(), reference)
        self.assertEqual(self.js("location.search"), f"?x=1&via={self.code}")
        self.assertEqual(len(self.clicks()), 1)

    # === CALLS, CONSENT === #

    def ask(self, call):
        return self.js(
            f"new Promise(done => affiliate({call}, value => done([value])))"
        )[0]

    def test_lead(self):
        self.page("/")
        self.visit(f"/?via={self.code}")
        self.assertIs(self.ask("'lead', {email: 'jane@doe.example'}"), True)
        self.assertIs(self.ask("'lead', {email: 'jane'}"), False)
        self.js("affiliate('lead', {email: 'no@callback.example'})")
        self.js("affiliate('lead')")
        self.assertEqual(
            self.visitor.sent("lead")[0],
            {"email": "jane@doe.example", "reference": self.cookie()},
        )
        self.assertIs(
            self.ask("'lead', {email: 'jane@doe.example', captcha: 'solved'}"), True
        )
        self.assertEqual(self.visitor.sent("lead")[-1]["captcha"], "solved")
        self.leave()
        self.program.no_script_leads = True
        self.visit(f"/?via={self.code}")
        self.assertIs(self.ask("'lead', {email: 'no@doe.example'}"), False)
        self.assertEqual(len(self.visitor.sent("lead")), 1, "it was refused")
        self.leave()
        lead = self.env["affiliate.referral"].search([("source", "=", "sdk")])
        self.assertIn("jane@doe.example", lead.mapped("email_normalized"))
        self.assertEqual(lead.affiliate_id, self.drona)

    def test_no_lead_of_nobody(self):
        """The address stays in the browser where nobody has sent the visitor."""
        self.page("/")
        self.visit("/")
        self.assertIs(self.ask("'lead', {email: 'jane@doe.example'}"), False)
        self.assertFalse(self.visitor.sent("lead"))

    def test_offer(self):
        self.page("/")
        self.visit("/")
        self.assertEqual(self.ask("'offer'"), {})
        self.visit(f"/?via={self.code}")
        self.assertEqual(
            self.ask("'offer'"),
            {"name": "Drona", "offer": "20 % off the first payment"},
        )

    def test_consent_required(self):
        self.program.consent_mode = "required"
        self.page("/", f'<a id="buy" href="{BUY}">Buy</a>')
        self.visit(f"/?via={self.code}")
        reference = self.js("affiliate.referral")
        self.assertIn(reference, self.attribute("#buy"), "carried in memory")
        self.assertIs(self.clicks(1)[0]["store"], False)
        self.assert_nothing_stored()
        self.js("affiliate('consent', true)")
        self.assertEqual(self.cookie(), reference)
        self.assertIs(self.clicks(2)[1]["store"], True)
        self.js("affiliate('consent', true)")
        self.js("affiliate('consent', false)")
        self.assert_nothing_stored()
        self.assertEqual(self.js("affiliate.referral"), reference)
        self.assertIn(reference, self.attribute("#buy"))
        self.assertEqual(len(self.clicks()), 2)
        self.leave()
        self.assertEqual(len(self.env["affiliate.click"].search([])), 1)

    def test_consent_before_loading(self):
        self.program.consent_mode = "required"
        self.page("/", early="affiliate('consent', true);")
        self.visit(f"/?via={self.code}")
        self.assertTrue(self.cookie())
        self.assertEqual([click["store"] for click in self.clicks(1)], [True])

    def test_denied_before_loading(self):
        self.page("/", early="affiliate('consent', false);")
        self.visit(f"/?via={self.code}")
        self.assertTrue(self.js("affiliate.referral"))
        self.assertIs(self.clicks(1)[0]["store"], False)
        self.assert_nothing_stored()

    def test_privacy_signals(self):
        signal = "Object.defineProperty(navigator, '{}', {{value: {}}});"
        for name, value in (("globalPrivacyControl", "true"), ("doNotTrack", "'1'")):
            for respected in (True, False):
                self.program.respect_privacy_signals = respected
                self.page("/", early=signal.format(name, value))
                self.visit(f"/?via={self.code}")
                self.js("affiliate('consent', true)")
                self.assertEqual(bool(self.cookie()), not respected, name)
                self.assertTrue(self.js("affiliate.referral"))
                self.leave()

    def assert_nothing_stored(self):
        self.assertEqual(
            self.js("[document.cookie, localStorage.length, sessionStorage.length]"),
            ["", 0, 0],
        )
        self.assertEqual(self.visitor.command("Network.getCookies")["cookies"], [])
