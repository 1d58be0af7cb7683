// Answers to the documented calls of other affiliate products, so that only the script
// line of a site changes: data-compat="rewardful", "firstpromoter", "promotekit" or
// "tolt" on it. Loaded by affiliate.js when asked for.
(function () {
    const api = window.affiliate;
    const {config, script, commands, note, look, parse, arrive, decorate} = api.core;
    const {cookie, bake, mayStore} = api.core;
    const wanted = script.dataset.compat.toLowerCase().split(/[\s,]+/);
    const cookies = {}; // names under which servers look for the reference: its value

    const attempt = (work) => {
        try {
            work();
        } catch (error) {
            note("compat", error);
        }
    };

    const reference = () => api.referral || "";
    const code = () => reference().split("_")[0];
    const lead = (email) =>
        new Promise((done) => {
            if (/@/.test(email)) {
                api("lead", {email}, done);
            } else {
                note("compat", "There is no e-mail address in", email);
                done(false);
            }
        });
    const source = (token) => {
        const [, named, brought] = parse(token);
        if (named) {
            arrive(named, brought, location.href);
        }
    };
    const then = (done) => typeof done === "function" && done;

    /** Put a property there that is up to date whenever it is read. */
    const live = (target, name, get) =>
        Object.defineProperty(target, name, {
            get,
            configurable: true,
            enumerable: true,
        });

    /** Put a function in the place of a stub, and do what that has collected. */
    const replace = (name, calls) => {
        const queue = (window[name] || {}).q || [];
        const run = (call, ...values) => attempt(() => calls[call](...values));
        window[name] = run;
        queue.forEach((values) => run(...values));
        run.q = {push: (values) => run(...values), unshift: (values) => run(...values)};
    };

    const parameters = {
        rewardful: ["via", ...(script.dataset.rewardfulParams || "").split(/[\s,]+/)],
        firstpromoter: ["fpr", "via", "fp_ref", "deal", "ref", "_from", "_by", "_go"],
        promotekit: ["via"],
        tolt: ["ref", "via"],
    };

    const rivals = {
        rewardful() {
            // <form data-rewardful> wants a hidden input called referral.
            const forms = (root) =>
                root.querySelectorAll("form[data-rewardful]").forEach((form) => {
                    form.dataset.affiliate = form.dataset.affiliate || "referral";
                    decorate(form);
                });
            forms(document);
            document.addEventListener("DOMContentLoaded", () => forms(document));
            document.addEventListener("submit", () => forms(document), true);
            window.Rewardful = {};
            live(window.Rewardful, "referral", reference);
            live(window.Rewardful, "affiliate", () =>
                api.referral ? {id: code(), token: code()} : null
            );
            replace(window._rwq || "rewardful", {
                ready: (done) => api("ready", () => done()),
                convert: ({email}, done) => lead(email).then(then(done)),
                source,
            });
        },

        firstpromoter() {
            const data = {};
            live(data, "tid", () => api.referral);
            live(data, "ref_id", () => code() || null);
            const signup = ({email}, done) =>
                lead(email).then(() => then(done) && done(data));
            const init = (options, done) => {
                source((options || {}).ref_id);
                if (then(done)) {
                    api("ready", () => done(data));
                }
            };
            window.FPROM = {data};
            window.$FPROM = {trackSignup: signup};
            cookies._fprom_tid = reference;
            cookies._fprom_ref = code;
            replace("fpr", {
                init,
                click: init,
                referral: signup,
                onReady: (done) => api("ready", () => done(data)),
                details: (done) =>
                    api("offer", ({name, offer}) =>
                        done({
                            ref_id: code(),
                            promo_code: code(),
                            offer,
                            promoter: {first_name: name},
                        })
                    ),
                crossDomain: () => note("compat", "Domains: see the programme."),
                urlTracking: () => note("compat", "Pages cannot be affiliates' links."),
            });
        },

        promotekit() {
            live(window, "promotekit_referral", () => api.referral || undefined);
            window.promotekit = {refer: lead};
            cookies.promotekit_referral = reference;
        },

        tolt() {
            let customer = null;
            const data = () =>
                api.referral && {
                    click_id: reference(),
                    partner_id: code(),
                    program_id: config.key,
                    customer_id: customer,
                    cookie_duration: config.days,
                };
            live(window, "tolt_referral", () => api.referral);
            live(window, "tolt_data", data);
            window.tolt = {
                getTracking: data,
                signup: (email) =>
                    lead(email).then((taken) => {
                        if (!taken) {
                            throw new Error("The address was not taken.");
                        }
                        customer = email;
                        return Object.assign(data(), {
                            customer_identifier: email,
                            message: "Success",
                        });
                    }),
            };
            cookies.tolt_referral = reference;
            api("ready", () =>
                document.dispatchEvent(new Event("toltScriptLoaded", {bubbles: true}))
            );
        },
    };

    /** Servers read the cookie of the product they know. It ends with the reference. */
    const store = () => {
        const [known, until] = (localStorage.getItem("affiliate_ref") || "").split(" ");
        const left = Math.round((until - Date.now()) / 1000);
        for (const name of Object.keys(cookies)) {
            const value = mayStore() ? cookies[name]() : "";
            if (known === reference() && left > 0) {
                bake(name, value, left);
            } else if ((cookie(name) || "") !== value) {
                // When our cookie ends is not known here; this one is left alone then.
                bake(name, value, config.days * 86400);
            }
        }
    };

    const asked = Object.keys(rivals).filter((name) => wanted.includes(name));
    for (const name of asked) {
        for (const parameter of parameters[name]) {
            if (parameter && !config.parameters.includes(parameter)) {
                config.parameters.push(parameter);
            }
        }
    }
    attempt(look);
    for (const name of asked) {
        attempt(rivals[name]);
    }
    api.core.kept = () => attempt(store);
    api.core.kept();
    const consent = commands.consent;
    commands.consent = (agreed) => {
        consent(agreed);
        api.core.kept();
    };
    api.core.compat = wanted;
})();
