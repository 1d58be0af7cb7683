/* eslint-disable no-console */
// Explains on the console what affiliate.js does. Loaded by it when the script line has
// data-debug, or the page's address affiliate_debug=1.
(function () {
    const api = window.affiliate;
    const {base, config, log, mayStore, cookie} = api.core;

    const answers = {
        200: "recorded",
        204: "done",
        400: "refused: the server could not read the address of this page",
        403:
            `refused: ${location.hostname} is none of the program's domains, or the ` +
            "program takes no leads by the script or asks for a captcha (the answer " +
            "says which)",
        404: "refused: the server does not know this programme",
        413: "refused: too long",
        422: "refused: this is no e-mail address",
        429: "refused: too many from this network address, try again later",
        503: "not stored: our server is busy just now, try again",
    };
    const answer = (status) =>
        answers[status] ||
        `no answer (${status || "too slow"}). Is the server reachable, and does the ` +
            `page's policy allow it (connect-src ${base})?`;

    const sentences = {
        arrived: (code, reference, brought) => [
            `The address has the code ${code}` +
                (brought ? " and a visitor known elsewhere." : "."),
            `This visitor is ${reference} now.`,
            config.first && reference.split("_")[0] !== code
                ? "Another affiliate was first; both visits are known to the server."
                : "",
        ],
        click: (body, status) => [`Visit of ${body.reference}: ${answer(status)}.`],
        lead: (body, status) => [`E-mail address of a lead: ${answer(status)}.`],
        offer: (error) => [`No offer: ${answer()}`, error],
        consent: (agreed) => [
            agreed
                ? "The visitor agrees."
                : "The visitor does not agree: nothing is stored, links still work.",
        ],
        link: (element) => ["Link:", element.href, element],
        frame: (element) => ["The e-mail form in the page.", element],
        input: (element) => [`Hidden input ${element.name}.`, element],
        stripe: (element) => ["Stripe's element.", element],
        offered: (when) => [`A popup will come by itself: ${when}.`],
        popup: (to, email) => [
            email ? "The form was filled in." : "No form: going on without it.",
            to ? `Next: ${to}` : "",
        ],
        compat: (...what) => ["Compatibility:", ...what],
        error: (error) => ["Something failed; the page goes on:", error],
    };

    const say = (...what) =>
        console.log(
            "%caffiliate",
            "background:#714b67;color:#fff;padding:0 4px;border-radius:3px",
            ...what.filter(Boolean)
        );
    const explain = ([what, ...values]) =>
        say(...(sentences[what] ? sentences[what](...values) : [what, ...values]));

    say(`Programme ${config.key} on ${base}, page ${location.href}`);
    const isOwn = config.domains.some((domain) =>
        `.${location.hostname}`.endsWith(`.${domain}`)
    );
    if (!isOwn) {
        say(
            `${location.hostname} is none of the programme's domains ` +
                `(${config.domains.join(", ")}): nothing will be recorded.`
        );
    }
    say(
        api.referral
            ? `Visitor: ${api.referral}`
            : `Nobody has sent this visitor. To try: add ?${config.parameters[0]}=CODE ` +
                  "to the address."
    );
    say(
        mayStore()
            ? `Stored for ${config.days} days${cookie("affiliate_ref") ? "" : " (not yet)"}.`
            : "Nothing may be stored" +
                  (config.consent
                      ? ": the programme asks for consent; call affiliate('consent', true)."
                      : ": the visitor or his browser does not want it.")
    );
    log.forEach(explain);
    log.push = (...entries) => {
        entries.forEach(explain);
        return Array.prototype.push.apply(log, entries);
    };
    document.addEventListener("securitypolicyviolation", (event) => {
        if (event.blockedURI.startsWith(new URL(base).origin)) {
            say(
                `The page's policy blocks our server: add ${new URL(base).origin} to ` +
                    `${event.effectiveDirective}.`
            );
        }
    });
    api.core.debug = true;
})();
