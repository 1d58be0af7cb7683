import base64, time
from odoo.tests import tagged, new_test_user
from .test_settlement import TestSettlement
from .test_codes import CodesCase

from urllib.parse import urlsplit
from odoo.tests.common import ChromeBrowser
class V(ChromeBrowser):
    def js(self, e):
        return self._websocket_request("Runtime.evaluate", params={"expression": e, "returnByValue": True, "awaitPromise": True})["result"].get("value")
    def go(self, url):
        self.navigate_to(url)
    def until(self, e, patience=60):
        end=time.time()+patience
        while time.time()<end:
            if self.js("!!("+e+")"): return
            time.sleep(.5)
        print("NEVER", e)
class Shots:
    def shot(self, name):
        time.sleep(2.5)
        r=self.v._websocket_request("Page.captureScreenshot")
        open(f"/tmp/w/doors/{name}.png","wb").write(base64.b64decode(r["data"]))
    def open_as(self, login, pw, url):
        session = self.authenticate(login, pw)
        self.v = V(self); self.addCleanup(self.v.stop)
        self.v.set_cookie("session_id", session.sid, "/", urlsplit(self.base_url()).hostname)
        self.v.go(self.base_url()+url)
        self.v.until("document.querySelector('.o_form_view, .o_list_view')")
        self.shot("first_"+login)
@tagged("post_install","-at_install")
class TestShot(Shots, CodesCase):
    def test_code(self):
        self.program = self.make_program(discount=10)
        self.drona = self.approve(self.program)
        code = self.push(self.drona); self.deliver()
        self.shop.post(f"promotion_codes/{self.promotions()[-1]['id']}", active=False)
        self.deliver(); self.env.flush_all()
        new_test_user(self.env(su=True),"off1",groups="affiliate_stripe.group_affiliate_officer",password="off1off1off1",company_id=self.env.company.id,company_ids=[(6,0,self.env.company.ids)])
        self.open_as("off1","off1off1off1",f"/odoo/affiliate.code/{code.id}")
        self.shot("code_off")
        self.v.go(self.base_url()+f"/odoo/affiliate.affiliate/{self.drona.id}")
        self.v.until("document.querySelector('.o_form_view')"); self.shot("affiliate_officer")
        ref=self.env["affiliate.referral"].create({"email":"x@example.com","affiliate_id":self.drona.id}); self.env.flush_all()
        self.v.go(self.base_url()+f"/odoo/affiliate.referral/{ref.id}")
        self.v.until("document.querySelector('.o_form_view')"); self.shot("referral_officer")
        print("EDIT", self.v.js("[...document.querySelectorAll('.o_field_widget[name=include_history]')].map(x=>x.className)"))
        # create a referral by the form as an officer
        self.v.go(self.base_url()+"/odoo/affiliate.referral/new")
        self.v.until("document.querySelector('.o_form_view')"); self.shot("referral_new")

@tagged("post_install","-at_install")
class TestShotSettle(Shots, TestSettlement):
    def test_shot(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        self.earn(60); self.spoil(uma)
        self.env.flush_all()
        act = self.env.ref("affiliate_stripe.action_affiliate_settlement_wizard")
        self.open_as("accountman","accountman", "/odoo/action-affiliate_stripe.action_affiliate_settlement")
        self.v.until("document.querySelector('.o_list_view')")
        print("BTN", self.v.js("[...document.querySelectorAll('.o_control_panel button, .o_list_view button')].map(x=>x.innerText).join('|')"))
        self.v.js("[...document.querySelectorAll('button')].find(x=>/Settle/.test(x.innerText)).click()")
        self.v.until("document.querySelector('.modal .o_form_view')")
        self.v.js("(()=>{const i=document.querySelector('.modal [name=date_to] input'); i.focus(); i.value='12/31/2026'; i.dispatchEvent(new Event('input',{bubbles:true})); i.dispatchEvent(new Event('change',{bubbles:true}));})()")
        time.sleep(1)
        self.shot("settle_before")
        self.v.js("[...document.querySelectorAll('.modal footer button')][0].click()")
        self.v.until("document.querySelector('.o_notification')")
        self.shot("settle_notice")
