import {animationFrame, click, fill, press, queryOne, tick} from "@odoo/hoot-dom";
import {beforeEach, describe, expect, test} from "@odoo/hoot";
import {
    setupInteractionWhiteList,
    startInteractions,
} from "@web/../tests/public/helpers";
import {Deferred, advanceTime} from "@odoo/hoot-mock";
import {ReCaptcha} from "@google_recaptcha/js/recaptcha";
import {browser} from "@web/core/browser/browser";
import {cookie} from "@web/core/browser/cookie";
import {defineStyle, patchWithCleanup} from "@web/../tests/web_test_helpers";
import {switchToEditMode} from "@website/../tests/helpers";

const INTERACTIONS = [
    "affiliate_stripe.form",
    "google_recaptcha.recaptcha_form",
    "website.popup",
];
describe.current.tags("interaction_dev");

const WRONG = {
    error: "This is not a complete e-mail address.",
    at_field: true,
    to: null,
};
const NETWORK = new TypeError("Failed to fetch");

/** The block as it is stored in a page. */
const form = ({action = "/affiliate/form/KEY", to = "", hidden = ""} = {}) => `
    <div class="s_affiliate_form" data-snippet="s_affiliate_form">
        <form method="post" action="${action}" data-captcha="affiliate_form" novalidate="novalidate">
            <input type="hidden" name="to" value="${to}">
            <label class="s_affiliate_form_field">
                <span class="s_affiliate_form_label">E-mail</span>
                <input type="email" name="email" class="form-control" required="required">
            </label>
            <button type="submit" class="s_affiliate_form_button btn btn-primary">Continue</button>
            <p class="s_affiliate_form_consent ${hidden}">We use your address.</p>
        </form>
    </div>`;

const popup = (display, content) => `
    <a href="#thePopup" id="opener">Sign up</a>
    <div class="s_popup" id="sPopup">
        <div class="modal fade" id="thePopup" data-display="${display}" data-show-after="0"
             data-consents-duration="7" data-bs-backdrop="false" tabindex="-1" role="dialog">
            <div class="modal-dialog"><div class="modal-content oe_structure">
                <div class="s_popup_close js_close_popup">×</div>
                <section>${content}</section>
            </div></div>
        </div>
    </div>`;

let sent = [];
let answers = [];
let destinations = [];

beforeEach(() => {
    setupInteractionWhiteList(INTERACTIONS);
    sent = [];
    answers = [];
    destinations = [];
    patchWithCleanup(browser, {
        async fetch(url, {body, headers, method} = {}) {
            if (!(body instanceof FormData)) {
                return super.fetch(...arguments);
            }
            sent.push({url, method, headers, body: Object.fromEntries(body)});
            const answer = await answers.shift();
            if (answer instanceof Error) {
                throw answer;
            }
            return new Response(
                typeof answer === "string" ? answer : JSON.stringify(answer)
            );
        },
    });
    patchWithCleanup(browser.location, {
        assign: (url) => destinations.push(url),
    });
    // A form that is sent as a page would leave the tests.
    patchWithCleanup(HTMLFormElement.prototype, {
        submit() {
            expect.step("sent as a page");
        },
    });
});

/** Type an address and send it. */
async function send(address = "jane@example.com") {
    await click("[name=email]");
    await fill(address);
    await click("[type=submit]");
    await animationFrame();
}

test("it sends what was typed, once, and leads on", async () => {
    await startInteractions(form({to: "/thanks"}));
    answers = [{to: "https://acme.example/signup?via=JANE", message: "Thank you."}];
    await send();
    expect(sent).toHaveLength(1);
    expect(new URL(sent[0].url).pathname).toBe("/affiliate/form/KEY");
    expect(sent[0].method).toBe("POST");
    expect(sent[0].headers.Accept).toBe("application/json");
    expect(sent[0].body.email).toBe("jane@example.com");
    expect(sent[0].body.to).toBe("/thanks");
    expect(sent[0].body.lang).toBe(document.documentElement.lang);
    expect(destinations).toEqual(["https://acme.example/signup?via=JANE"]);
    expect.verifySteps([]);
});

test("it sends once when the button is pressed twice", async () => {
    await startInteractions(form());
    const answer = new Deferred();
    answers = [answer];
    await click("[name=email]");
    await fill("jane@example.com");
    await click("[type=submit]");
    await click("[type=submit]");
    await click("[name=email]");
    await press("Enter");
    await animationFrame();
    expect("[type=submit]").toHaveClass("opacity-50");
    answer.resolve({to: "/thanks"});
    await animationFrame();
    expect(sent).toHaveLength(1);
    expect(destinations).toEqual(["/thanks"]);
    expect("[type=submit]").not.toHaveClass("opacity-50");
});

test("it says at the field what is wrong, until it is minded", async () => {
    await startInteractions(form());
    answers = [WRONG, {to: "/thanks"}];
    await send("jane");
    expect("[role=alert]").toHaveText(WRONG.error);
    expect("[role=alert] a").toHaveCount(0);
    expect("[name=email]").toHaveValue("jane");
    expect("[name=email]").toHaveClass("is-invalid");
    expect("[name=email]").toHaveAttribute("aria-invalid", "true");
    expect("[name=email]").toBeFocused();
    const described = queryOne("[name=email]").getAttribute("aria-describedby");
    expect(described.split(" ")).toEqual([
        queryOne("[role=alert]").id,
        queryOne(".s_affiliate_form_consent").id,
    ]);
    expect(destinations).toEqual([]);

    await press("@");
    await animationFrame();
    expect("[role=alert]").toHaveCount(0);
    expect("[name=email]").not.toHaveAttribute("aria-invalid");
    await send();
    expect(destinations).toEqual(["/thanks"]);
});

test("a refusal that is not about the address does not blame it", async () => {
    await startInteractions(form());
    answers = [{error: "Please wait an hour.", at_field: false, to: "/signup"}];
    await send();
    expect("[role=alert]").toHaveText(/^Please wait an hour/);
    expect("[role=alert] a").toHaveAttribute("href", "/signup");
    expect("[name=email]").not.toHaveAttribute("aria-invalid");
    expect("[name=email]").toHaveValue("jane@example.com");
});

for (const [what, answer] of [
    ["the server is down", NETWORK],
    ["the answer is not ours", "<html>Bad gateway</html>"],
]) {
    test(`nothing is lost when ${what}`, async () => {
        await startInteractions(form());
        answers = [answer, {to: "/thanks"}];
        await send();
        expect("[role=alert]").toHaveText(
            "Your address could not be sent. Please try again."
        );
        expect("[name=email]").toHaveValue("jane@example.com");
        expect(destinations).toEqual([]);
        await click("[type=submit]");
        await animationFrame();
        expect(destinations).toEqual(["/thanks"]);
        expect.verifySteps([]);
    });
}

test("it thanks where there is nowhere to go", async () => {
    await startInteractions(form());
    answers = [{to: "", message: "Thank you. We have your e-mail address."}];
    await send();
    expect("[role=status]").toHaveText("Thank you. We have your e-mail address.");
    expect("[role=status]").toBeFocused();
    expect("form").not.toBeVisible();
    expect(destinations).toEqual([]);
});

test("what the server says is text", async () => {
    await startInteractions(form());
    answers = [{error: "<img src='x'>", at_field: true}];
    await send();
    expect("[role=alert] img").toHaveCount(0);
    expect("[role=alert]").toHaveText("<img src='x'>");
});

for (const action of [
    "https://evil.example/affiliate/form/KEY",
    "//evil.example/",
    // eslint-disable-next-line no-script-url
    "javascript:alert(1)",
    "http://[",
]) {
    test(`nothing is sent to ${action}`, async () => {
        await startInteractions(form({action}));
        await send();
        expect(sent).toEqual([]);
        expect(destinations).toEqual([]);
        expect("[role=alert]").toHaveText(/could not be sent/);
        expect.verifySteps([]);
    });
}

test("Odoo's captcha is asked before", async () => {
    const tokens = [{error: "The recaptcha site key is invalid."}, {token: "human"}];
    patchWithCleanup(ReCaptcha.prototype, {
        async getToken(action) {
            expect.step(action);
            return tokens.shift();
        },
    });
    await startInteractions(form());
    answers = [{to: "/thanks"}];
    await send();
    expect(sent).toEqual([]);
    expect("[role=alert]").toHaveText("The recaptcha site key is invalid.");
    await click("[type=submit]");
    await animationFrame();
    expect(sent[0].body.recaptcha_token_response).toBe("human");
    expect(destinations).toEqual(["/thanks"]);
    expect.verifySteps(["affiliate_form", "affiliate_form"]);
});

test("a consent text that is off is read by nobody", async () => {
    await startInteractions(form({hidden: "d-none"}));
    expect("[name=email]").not.toHaveAttribute("aria-describedby");
});

test("two forms on a page do not share anything", async () => {
    await startInteractions(form() + form());
    answers = [WRONG];
    await click("[type=submit]:last");
    await animationFrame();
    expect("[role=alert]").toHaveCount(1);
    expect(".s_affiliate_form:last [role=alert]").toHaveCount(1);
    const ids = [...document.querySelectorAll(".s_affiliate_form [id]")].map(
        (el) => el.id
    );
    expect(new Set(ids).size).toBe(ids.length);
});

test("the editor gets the block as it is stored", async () => {
    const {core} = await startInteractions(form());
    const html = () => queryOne("#wrapwrap").innerHTML.trim();
    answers = [WRONG];
    await send("jane");
    expect(html()).not.toBe(form().trim());
    core.stopInteractions();
    expect(html()).toBe(form().trim());
});

test("in the editor nothing is sent", async () => {
    setupInteractionWhiteList("affiliate_stripe.form");
    const {core} = await startInteractions(form(), {
        waitForStart: true,
        editMode: true,
    });
    await switchToEditMode(core);
    await click("[type=submit]");
    await animationFrame();
    expect(sent).toEqual([]);
    expect.verifySteps([]);
});

describe("in a popup", () => {
    // Transitions of Bootstrap do not end in Hoot.
    beforeEach(() => defineStyle("* { transition: none !important; }"));

    const shown = "#sPopup .modal";

    async function appears() {
        await tick();
        await animationFrame();
        await advanceTime(100);
        expect(shown).toBeVisible();
    }

    async function useIt() {
        await appears();
        destinations = [];
        answers = [WRONG, {to: "/thanks"}];
        await send("jane");
        expect(shown).toBeVisible();
        expect("[role=alert]").toHaveText(WRONG.error);
        await send();
        expect(destinations).toEqual(["/thanks"]);
        expect(shown).not.toBeVisible();
    }

    test("after a delay; who has answered is not asked again", async () => {
        await startInteractions(popup("afterDelay", form()));
        await useIt();
        expect(cookie.get("sPopup")).toBe("true");
    });

    test("when the pointer leaves the page", async () => {
        await startInteractions(popup("mouseExit", form()));
        expect(shown).not.toBeVisible();
        document.body.dispatchEvent(new MouseEvent("mouseleave"));
        await useIt();
    });

    test("on click on a link", async () => {
        await startInteractions(popup("onClick", form()));
        expect(shown).not.toBeVisible();
        const url = `${window.location.href.split("#")[0]}#thePopup`;
        window.dispatchEvent(new HashChangeEvent("hashchange", {newURL: url}));
        await useIt();
    });

    test("another button still closes it", async () => {
        const other = `<a href="#" class="btn btn-primary" id="other">No, thanks</a>`;
        await startInteractions(popup("afterDelay", form() + other));
        await appears();
        await click("#other");
        await animationFrame();
        expect(shown).not.toBeVisible();
    });
});
