/**
 * The e-mail form, as a page and inside a frame. It loads as it is, so that a popup has
 * its height and focus at once. Without it the form works too: after it, a link goes on.
 *
 * Inside a frame it talks to the page around it: {affiliate: "loaded"}, {affiliate:
 * "height", height}, {affiliate: "close"} (Escape), and {affiliate: "done", email,
 * reference, to}.
 */
(function () {
    const POPUP = "affiliate_popup"; // what static/sdk/popup.js calls its frame
    const PATIENCE = 8000; // milliseconds for a captcha, then it is sent without
    const QUIET = 100; // milliseconds; what is there before is not read out

    /** Screen readers read out what changes, not what the page came with. */
    function announce(alert) {
        if (!alert.textContent.trim()) {
            return;
        }
        const words = [...alert.childNodes];
        alert.style.minHeight = `${alert.offsetHeight}px`; // so that nothing moves
        alert.replaceChildren();
        setTimeout(() => alert.append(...words), QUIET);
    }

    /** Browsers ignore autofocus in a frame of another origin. */
    function focus() {
        const wrong = document.querySelector(".o_affiliate_capture .is-invalid");
        const first = document.querySelector("#affiliate_email, .o_affiliate_onward");
        const field = wrong || (window.name === POPUP && first);
        if (field && document.activeElement === document.body) {
            field.focus();
            const {value} = field;
            if (value) {
                field.value = ""; // so that the cursor goes behind what was typed
                field.value = value;
            }
        }
    }

    function talk(frame) {
        const {affiliateOrigin: origin, ...done} = frame.dataset;
        // Not embedded, or by somebody who must not learn anything.
        if (window.parent === window || !origin) {
            return;
        }
        const tell = (affiliate, values) =>
            window.parent.postMessage({affiliate, ...values}, origin);
        tell("loaded");
        new ResizeObserver(() =>
            tell("height", {height: Math.ceil(frame.getBoundingClientRect().height)})
        ).observe(frame);
        document.addEventListener("keydown", (event) => {
            if (event.key === "Escape") {
                tell("close");
            }
        });
        if ("affiliateEmail" in done) {
            tell("done", {
                email: done.affiliateEmail,
                reference: done.affiliateReference,
                to: done.affiliateTo,
            });
        }
    }

    function load(address) {
        return new Promise((done, fail) => {
            const script = document.createElement("script");
            Object.assign(script, {src: address, onload: done, onerror: fail});
            document.head.append(script);
        });
    }

    /**
     * Wait for a captcha as long as visitors wait: some cannot be reached, and some never
     * answer. One that asks the visitor something has all his time.
     */
    function within(answer, asks = () => false) {
        const late = new Promise((done) => setTimeout(done, PATIENCE));
        return Promise.race([answer, late.then(() => asks() && answer)]);
    }

    /** Google's word is asked for when the form is sent: it does not last long. */
    function recaptcha(form, key, action) {
        const ready = load(
            `https://www.recaptcha.net/recaptcha/api.js?render=${encodeURIComponent(key)}`
        ).then(() => new Promise((done) => window.grecaptcha.ready(done)));
        const field = Object.assign(document.createElement("input"), {
            type: "hidden",
            name: "recaptcha_token_response",
        });
        ready.catch(() => null); // said when it is sent
        const answer = async () => {
            await ready;
            field.value = await window.grecaptcha.execute(key, {action});
            form.append(field);
        };
        return () => within(answer());
    }

    /** Cloudflare puts its word into the form by itself, some time. */
    function turnstile(form, key, action) {
        const place = document.createElement("div");
        place.className = "cf-turnstile";
        Object.assign(place.dataset, {
            sitekey: key,
            action,
            appearance: "interaction-only",
            responseFieldName: "turnstile_captcha",
            beforeInteractiveCallback: "affiliate_captcha_asks",
            callback: "affiliate_captcha",
            errorCallback: "affiliate_captcha",
        });
        form.querySelector("[type=submit]").before(place);
        let asks = false;
        window.affiliate_captcha_asks = () => {
            asks = true;
        };
        const solved = new Promise((done) => {
            window.affiliate_captcha = done;
        });
        const answered = load(
            "https://challenges.cloudflare.com/turnstile/v0/api.js"
        ).then(() => solved);
        answered.catch(() => null);
        return () => within(answered, () => asks);
    }

    /** Have the captchas of Odoo that are set up answered before the form is sent; where
     * that fails, our server says what is wrong. */
    function guard(form) {
        const {captcha: action, ...keys} = form.dataset;
        const captchas = Object.entries({recaptcha, turnstile})
            .filter(([name]) => keys[name])
            .map(([name, prepare]) => prepare(form, keys[name], action));
        if (!captchas.length) {
            return;
        }
        const button = form.querySelector("[type=submit]");
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            if (!button.hasAttribute("aria-busy")) {
                button.setAttribute("aria-busy", "true");
                await Promise.allSettled(captchas.map((answer) => answer()));
                form.submit();
            }
        });
        // Also after a step back to this page.
        window.addEventListener("pageshow", () => button.removeAttribute("aria-busy"));
    }

    document.querySelectorAll("[role=alert]").forEach(announce);
    document.querySelectorAll("form[data-captcha]").forEach(guard);
    focus();
    // A popup that comes by itself is shown after it has loaded; and the Tab key goes
    // around in it.
    window.addEventListener("focus", focus);
    document.querySelectorAll(".o_affiliate_frame").forEach(talk);
})();
