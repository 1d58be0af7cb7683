/**
 * The e-mail form, as a page and inside a frame. It loads as it is, so that a popup has
 * its height and focus at once. Without it the form works too: after it, a link leads on.
 *
 * Inside a frame it talks to the page around it: {affiliate: "loaded"}, {affiliate:
 * "height", height}, {affiliate: "close"} (Escape), and {affiliate: "done", email,
 * reference, to}.
 */
(function () {
    const POPUP = "affiliate_popup"; // what static/sdk/popup.js calls its frame
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

    document.querySelectorAll("[role=alert]").forEach(announce);
    focus();
    // A popup that comes by itself is shown after it has loaded; and the Tab key goes
    // around in it.
    window.addEventListener("focus", focus);
    document.querySelectorAll(".o_affiliate_frame").forEach(talk);
})();
