/* global AFFILIATE_CONFIG */
// Recognises on a foreign site who sent a visitor, and tells Stripe's checkout.
//
// Served minified by controllers/sdk.py with the programme's settings in place of
// AFFILIATE_CONFIG. Rules: whatever fails, the page works as before; nothing is stored
// unless it may be; 4 KB gzip at most, so popup.js, debug.js and compat.js are loaded
// on demand. What it offers is in the README ("On your site"); what a reference is, in
// lib/visits.py.
(function (config) {
    const COOKIE = "affiliate_ref";
    const SHOWN = "affiliate_popup"; // see popup.js
    const CHECKOUT = "client_reference_id";
    const REFERENCE = /^([a-z0-9-]{3,40})(?:_([a-z0-9]{16,40}))?$/i;
    const FIELDS = `input[name=${COOKIE}],input[name=via],input[name=referral]`;
    const FRAME = `iframe[src*="/affiliate/form/${config.key}"]`;
    const DRESSED = `${FRAME},a[href],form[data-affiliate],stripe-pricing-table,stripe-buy-button,${FIELDS},[data-affiliate-popup]`;
    const DAY = 86400;
    const PATIENCE = 4000; // milliseconds for our server, then we go on without it

    // Not what a page's form or frame of that name is.
    const stub = typeof window.affiliate === "function" ? window.affiliate : {};
    if (stub.key) {
        return; // the page has this script twice
    }
    const script = document.currentScript || {dataset: {}};
    const base = (script.src || config.base).replace(/\/affiliate\/sdk\/.*/, "");
    const commands = {};
    const seen = {}; // codes that this page has met in its address
    const loaded = {};
    const waiting = []; // popups before popup.js is there
    const log = []; // what debug.js explains
    let agreed = !config.consent;
    let visit; // what this page has told our server

    const note = (...what) => {
        if (log.push(what) > 99) {
            log.shift();
        }
    };

    const safe =
        (work) =>
        (...values) => {
            try {
                return work(...values);
            } catch (error) {
                note("error", error);
            }
        };

    const api = (name, ...values) => safe(commands[name])(...values);

    const create = (name, values) =>
        Object.assign(document.createElement(name), values);

    const on = (target, names, work) =>
        names
            .split(" ")
            .forEach((name) => target.addEventListener(name, safe(work), true));

    // Some pages let scripts be loaded by trusted ones only.
    const trust = safe(
        () =>
            window.trustedTypes &&
            trustedTypes.createPolicy("affiliate", {createScriptURL: (url) => url})
    )();

    // Popups that were asked for and cannot be shown. One that would come by itself
    // leads nowhere.
    const goOn = () => {
        for (const {to, done, on: later} of waiting.splice(0)) {
            if (done && !later) {
                safe(done)({reference: api.referral});
            }
            if (to && !later) {
                location.assign(to);
            }
        }
    };

    const language = () => document.documentElement.lang || navigator.language;

    // The other files: on demand, each once.
    const load = (name) => {
        if (!loaded[name]) {
            loaded[name] = create("script", {onerror: goOn});
            const url = `${base}/affiliate/sdk/${config.key}/${name}.js?lang=${language()}`;
            loaded[name].src = trust ? trust.createScriptURL(url) : url;
            document.head.append(loaded[name]);
        }
    };

    const parse = (text) => REFERENCE.exec(text || "") || [];

    // --- what is stored ---

    const mayStore = () =>
        agreed &&
        !(
            config.privacy &&
            (navigator.globalPrivacyControl || navigator.doNotTrack === "1")
        );

    const cookie = (name) =>
        (RegExp(`(?:^|; )${name}=([^;]*)`).exec(document.cookie) || [])[1];

    // The widest domain that takes a cookie is the registrable one. All others are
    // emptied, also the cookie without a domain: our server's, where it is the site.
    const bake = (name, value, age) => {
        const labels = location.hostname.split(".");
        const domains = labels.map((_label, at) => labels.slice(~at).join("."));
        const write = (domain, text, seconds) => {
            document.cookie =
                `${name}=${text};path=/;samesite=lax;max-age=${seconds}` +
                (domain && `;domain=${domain}`) +
                (location.protocol === "https:" ? ";secure" : "");
            return text && cookie(name) === text;
        };
        ["", ...domains].forEach((domain) => write(domain, "", 0));
        if (value) {
            domains.some((domain) => write(domain, value, age));
        }
    };

    const forget = safe(() => {
        bake(COOKIE, "", 0);
        bake(SHOWN, "", 0);
        localStorage.removeItem(COOKIE);
    });

    const recall = () => {
        const [reference, until] = (localStorage.getItem(COOKIE) || "").split(" ");
        return until > Date.now() ? reference : null;
    };

    // --- links, forms, Stripe's elements ---

    const isOurs = (value) => !value || value.includes(parse(api.referral)[2]);

    const put = (address, name, value) => {
        const [head, ...tail] = address.split("#");
        const [pair, old] = RegExp(`[?&]${name}=([^&]*)`).exec(head) || [];
        if (!value || !isOurs(old)) {
            return address;
        }
        const fresh = `${name}=${encodeURIComponent(value)}`;
        return [
            pair
                ? head.replace(pair, pair[0] + fresh)
                : head + (head.includes("?") ? "&" : "?") + fresh,
            ...tail,
        ].join("#");
    };

    const domainOf = (host) =>
        config.domains.find((domain) => `.${host}`.endsWith(`.${domain}`));

    const parameterOf = ({href, hostname, dataset}) => {
        const domain = domainOf(hostname);
        return /^https:\/\/(buy|book|donate)\.stripe\.com\//.test(href) ||
            "affiliateCheckout" in dataset
            ? CHECKOUT
            : // A mailto: or tel: has no host, and no place for it.
              (hostname && "affiliate" in dataset) ||
                (domain && domain !== domainOf(location.hostname))
              ? config.parameters[0]
              : "";
    };

    const fill = (input) => {
        if (input.type === "hidden" && isOurs(input.value)) {
            input.value = api.referral;
            note("input", input);
        }
    };

    const dress = safe((element) => {
        if (element.matches("[data-affiliate-popup]")) {
            load("popup");
        }
        if (!api.referral) {
            return;
        }
        if (element.matches("a[href]")) {
            const name = parameterOf(element);
            const address = name && put(element.href, name, api.referral);
            if (name && address !== element.href) {
                element.href = address;
                note("link", element);
            }
        } else if (element.matches(FRAME)) {
            const address = put(element.src, "reference", api.referral);
            if (address !== element.src) {
                element.src = address;
                note("frame", element);
            }
        } else if (element.matches("form[data-affiliate]")) {
            const name = element.dataset.affiliate || COOKIE;
            if (!element.elements[name]) {
                element.append(create("input", {type: "hidden", name}));
            }
            fill(element.elements[name]);
        } else if (element.matches(FIELDS)) {
            fill(element);
        } else if (element.matches("stripe-pricing-table,stripe-buy-button")) {
            const name = CHECKOUT.replace(/_/g, "-");
            if (isOurs(element.getAttribute(name))) {
                element.setAttribute(name, api.referral);
                note("stripe", element);
            }
        }
    });

    const decorate = (root) => [root, ...root.querySelectorAll(DRESSED)].forEach(dress);

    // --- who sent him ---

    const ask = (path, options) =>
        Promise.race([
            Promise.resolve().then(() =>
                fetch(`${base}/affiliate/v1/${config.key}/${path}`, options)
            ),
            new Promise((_done, fail) => setTimeout(fail, PATIENCE)),
        ]);

    const post = (what, body) =>
        ask(what, {
            method: "POST",
            body: JSON.stringify(body),
            credentials: "include",
            keepalive: true,
        })
            .then(({status}) => status)
            .catch((error) => error)
            .then((status) => {
                note(what, body, status);
                return status === 204;
            });

    // Here, and at our server if this is a new visit.
    const remember = () => {
        const renewed = visit && visit.reference === api.referral;
        safe(() => {
            const age = config.days * DAY;
            // A cookie that our server has set is left alone: Safari keeps it longer.
            if (mayStore() && (renewed || cookie(COOKIE) !== api.referral)) {
                bake(COOKIE, api.referral, age);
            }
            if (mayStore() && (renewed || recall() !== api.referral)) {
                const until = Date.now() + age * 1000;
                localStorage.setItem(COOKIE, `${api.referral} ${until}`);
            }
        })();
        if (api.core.kept) {
            api.core.kept();
        }
        if (visit) {
            visit.store = mayStore() && renewed;
            post("click", visit);
        }
    };

    // Browsers leave some characters in an address that are none.
    const clean = (address) =>
        /^http/.test(address)
            ? address.replace(/[\\^`{|}]/g, encodeURIComponent).slice(0, 4000)
            : "";

    const random = () =>
        [...crypto.getRandomValues(new Uint8Array(22))]
            .map((byte) => (byte % 36).toString(36))
            .join("");

    const arrive = (named, brought, address) => {
        const code = named.toUpperCase();
        if (seen[code]) {
            return;
        }
        seen[code] = true;
        const [, known, own] = parse(api.referral);
        const visitor = own || brought || random();
        const reference = `${code}_${visitor}`;
        api.referral =
            known && config.model === "first" ? `${known}_${visitor}` : reference;
        // One whom our own link or another domain has brought is recorded already.
        visit = brought !== visitor && {
            reference,
            url: clean(address),
            referrer: clean(document.referrer),
            was: brought,
        };
        note("arrived", code, api.referral, brought);
        remember();
        decorate(document.documentElement);
    };

    // Copied addresses must not share a visitor. By the browser's function: ours would
    // look again.
    const {replaceState} = history;
    const clear = safe((brought) => {
        const address = location.href.replace(`_${brought}`, "");
        if (brought && address !== location.href) {
            replaceState.call(history, history.state, "", address);
        }
    });

    const look = (address) =>
        config.parameters.some((name) => {
            const [, code, brought] = parse(
                (RegExp(`[?&#]${name}=([^&#]*)`).exec(address) || [])[1]
            );
            if (code) {
                clear(brought);
                arrive(code, brought, address);
            }
            return code;
        });

    // What is clicked may be inside of a component (shadow DOM): closest() stays in it.
    const around = (event, selector) =>
        event.composedPath().find((node) => node.matches && node.matches(selector));

    on(window, "pointerdown click auxclick submit", (event) => {
        const changed = around(event, "a[href],form");
        if (changed) {
            decorate(changed); // the page may have changed it since
        }
    });

    // --- what a page may call ---

    Object.assign(commands, {
        ready: (done) => done(api.referral),

        lead: ({email}, done) =>
            (api.referral
                ? post("lead", {email, reference: api.referral})
                : Promise.resolve(false)
            ).then(done && safe(done)),

        consent(yes) {
            const news = yes && !agreed;
            agreed = !!yes;
            note("consent", agreed);
            if (!agreed) {
                forget();
            } else if (news && api.referral) {
                remember();
            }
        },

        offer: (done) =>
            Promise.resolve(api.referral)
                .then(
                    (reference) =>
                        reference &&
                        ask(
                            `offer?via=${parse(reference)[1]}` +
                                `&lang=${document.documentElement.lang}`
                        ).then((answer) => answer.json())
                )
                .catch((error) => note("offer", error) && null)
                .then((offer) => safe(done)(offer || {})),

        popup(options = {}) {
            waiting.push(options);
            setTimeout(goOn, PATIENCE);
            load("popup");
        },
    });

    // --- begin ---

    // A router may have changed the address before we came: this is how it was.
    const begin = () =>
        look(location.href) ||
        performance.getEntriesByType("navigation").some(({name}) => look(name));

    // Keep up with what the page does later.
    const follow = () => {
        for (const name of ["pushState", "replaceState"]) {
            const original = history[name];
            history[name] = function (...values) {
                original.apply(this, values);
                safe(begin)();
            };
        }
        on(window, "popstate", begin);
        new MutationObserver(
            safe((changes) => {
                for (const change of changes) {
                    for (const node of change.addedNodes) {
                        if (node.matches) {
                            decorate(node);
                        }
                    }
                }
            })
        ).observe(document, {childList: true, subtree: true});
    };

    Object.assign(api, {
        key: config.key,
        referral: parse(safe(cookie)(COOKIE) || safe(recall)())[0] || null,
        // What the other files need.
        core: {
            base,
            config,
            script,
            commands,
            waiting,
            log,
            note,
            safe,
            on,
            around,
            put,
            look: begin,
            parse,
            arrive,
            cookie,
            bake,
            mayStore,
            decorate,
        },
    });
    const start = () => {
        const queue = stub.q || [];
        for (const [name, yes] of queue) {
            if (name === "consent") {
                agreed = !!yes; // before anything is stored
            }
        }
        window.affiliate = api;
        safe(begin)();
        decorate(document.documentElement);
        safe(follow)();
        const asked = /[?&]affiliate_debug=1/.test(location.search) && "debug";
        for (const name of ["debug", "compat", "popup"]) {
            if (name in script.dataset || name === asked) {
                load(name);
            }
        }
        for (const call of queue) {
            api(...call);
        }
        api.q = {push: (call) => api(...call)}; // for who kept the stub
        document.dispatchEvent(
            new CustomEvent("affiliate:ready", {detail: {referral: api.referral}})
        );
    };

    // A page that is only prepared has no visitor yet.
    if (document.prerendering) {
        on(document, "prerenderingchange", start);
    } else {
        start();
    }
})(AFFILIATE_CONFIG);
