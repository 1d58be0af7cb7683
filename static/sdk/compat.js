// Answers to the documented calls of other affiliate products, so that only the script
// line of a site changes: data-compat="rewardful", "firstpromoter", "promotekit" or
// "tolt" on it. Loaded by affiliate.js when asked for.
(function () {
    const api = window.affiliate;
    const {config, script, commands, note, look, arrive, bake, mayStore, decorate} =
        api.core;
    const wanted = script.dataset.compat.toLowerCase().split(/[\s,]+/);
    const cookies = {}; // names under which servers look for the reference: its value

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
        if (token) {
            arrive(String(token).toUpperCase(), undefined, location.href);
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
        const run = (call, ...values) => {
            try {
                calls[call](...values);
            } catch (error) {
                note("compat", name, call, error);
            }
        };
        window[name] = run;
        queue.forEach((values) => run(...values));
        run.q = {push: (values) => run(...values), unshift: (values) => run(...values)};
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
                ready: (done) => done(),
                convert: ({email}, done) => lead(email).then(then(done)),
                source,
            });
            return (script.dataset.rewardfulParams || "").split(/[\s,]+/);
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
                    done(data);
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
                onReady: (done) => done(data),
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
            return ["fpr", "via", "fp_ref", "deal", "ref", "_from", "_by", "_go"];
        },

        promotekit() {
            live(window, "promotekit_referral", () => api.referral || undefined);
            window.promotekit = {refer: lead};
            cookies.promotekit_referral = reference;
            return ["via"];
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
            setTimeout(() =>
                document.dispatchEvent(new Event("toltScriptLoaded", {bubbles: true}))
            );
            return ["ref", "via"];
        },
    };

    /** Servers read the cookie of the product they know. */
    const store = () => {
        for (const name of Object.keys(cookies)) {
            const value = mayStore() ? cookies[name]() : "";
            bake(name, "", 0);
            if (value) {
                bake(name, value, config.days * 86400);
            }
        }
    };

    for (const name of Object.keys(rivals).filter((rival) => wanted.includes(rival))) {
        try {
            for (const parameter of rivals[name]().filter(Boolean)) {
                if (!config.parameters.includes(parameter)) {
                    config.parameters.push(parameter);
                }
            }
        } catch (error) {
            note("compat", name, error);
        }
    }
    const consent = commands.consent;
    commands.consent = (agreed) => {
        consent(agreed);
        store();
    };
    try {
        look();
        store();
    } catch (error) {
        note("compat", error);
    }
})();
