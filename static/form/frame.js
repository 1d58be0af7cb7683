/**
 * The e-mail form inside a frame talks to the page around it. It loads as it is, so that
 * a popup has its height at once. Without it the form works too: after it, a link leads on.
 *
 * Messages: {affiliate: "height", height}, {affiliate: "close"} (Escape), and
 * {affiliate: "done", email, reference, to}.
 */
(function () {
    const frame = document.querySelector(".o_affiliate_frame");
    const {affiliateOrigin: origin, ...done} = frame.dataset;
    // Not embedded, or by somebody who must not learn anything.
    if (window.parent === window || !origin) {
        return;
    }

    function tell(affiliate, values) {
        window.parent.postMessage({affiliate, ...values}, origin);
    }

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
})();
