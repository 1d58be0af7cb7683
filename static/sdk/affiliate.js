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
    const CHECKOUT = "client_reference_id";
    const FIELDS = `input[name=${COOKIE}],input[name=via],input[name=referral]`;
    const FRAME = `iframe[src*="/affiliate/form/${config.key}"]`;
    const ALL = `${FRAME},a[href],form[data-affiliate],stripe-pricing-table,stripe-buy-button,${FIELDS},[data-affiliate-popup]`;
    const PATIENCE = 4000; // milliseconds for our server, then we go on without it

    // Not what a page's form or frame of that name is.
    const stub = typeof window.affiliate === "function" ? window.affiliate : {};
    if (stub.key) {
        return; // the page has this script twice
    }
    const script = document.currentScript || {dataset: {}};
    const base = (script.src || config.base).replace(/\/affiliate\/sdk\/.*/, "");
    const seen = {}; // codes that this page has met, and references that it had
    const loaded = {};
    const waiting = []; // popups before popup.js is there
    const log = []; // what debug.js explains
    let commands; // what a page may call
    let agreed = !config.consent;
    let visit; // what this page has told our server
    let busy = 0; // what it has not answered yet
    let pending; // until it has

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
            if (!later) {
                if (done) {
                    safe(done)({reference: api.referral});
                }
                if (to) {
                    location.assign(to);
                }
            }
        }
    };

    const lang = () => document.documentElement.lang || navigator.language;

    // The other files: on demand, each once.
    const load = (name) => {
        if (!loaded[name]) {
            loaded[name] = create("script", {onerror: goOn});
            const url = `${base}/affiliate/sdk/${config.key}/${name}.js?lang=${lang()}`;
            loaded[name].src = trust ? trust.createScriptURL(url) : url;
            document.head.append(loaded[name]);
        }
    };

    const parse = (text) => /^([\w-]{3,40}?)(?:_(\w{16,40}))?$/.exec(text || "") || [];

    // --- what is stored ---

    const mayStore = () =>
        agreed &&
        !(
            config.privacy &&
            (navigator.globalPrivacyControl || navigator.doNotTrack === "1")
        );

    const cookie = (name) =>
        RegExp(`(?:^|; )${name}=([^;]*)|$`).exec(document.cookie)[1];

    // The widest domain that takes a cookie is the registrable one. All others are
    // emptied, also the cookie without a domain: our server's, where it is the site.
    const bake = (name, value, age) => {
        const labels = location.hostname.split(".");
        const domains = labels.map((_, at) => labels.slice(~at).join("."));
        const write = (domain, text, seconds) => {
            document.cookie =
                `${name}=${text};path=/;samesite=lax;max-age=${seconds}` +
                (domain && `;domain=${domain}`) +
                (location.protocol === "https:" ? ";secure" : "");
            return cookie(name) === text;
        };
        ["", ...domains].forEach((domain) => write(domain, "", 0));
        domains.some((domain) => value && write(domain, value, age));
    };

    const recall = () => {
        const [reference, until] = (localStorage.getItem(COOKIE) || "").split(" ");
        return until > Date.now() && reference;
    };

    // --- links, forms, Stripe's elements ---

    const isOurs = (value) =>
        !value || seen[value] === true || value.includes(parse(api.referral)[2]);

    const put = (url, name, value) => {
        const [head, ...tail] = url.split("#");
        const [pair, old] = RegExp(`[?&]${name}=([^&]*)`).exec(head) || [];
        if (!value || !isOurs(old)) {
            return url;
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
        config.domains.find((domain) => ("." + host).endsWith("." + domain));

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

    const dress = safe((node) => {
        if (node.matches("[data-affiliate-popup]")) {
            load("popup");
        }
        if (!api.referral) {
            return;
        }
        if (node.matches("a[href]")) {
            const name = parameterOf(node);
            const url = name && put(node.href, name, api.referral);
            if (name && url !== node.href) {
                node.href = url;
                note("link", node);
            }
        } else if (node.matches(FRAME)) {
            const url = put(node.src, "reference", api.referral);
            // Loaded once, when it is known for whom.
            if (!busy && url !== node.src) {
                node.src = url;
                note("frame", node);
            }
        } else if (node.matches("form[data-affiliate]")) {
            const name = node.dataset.affiliate || COOKIE;
            if (!node.elements[name]) {
                node.append(create("input", {type: "hidden", name}));
            }
            fill(node.elements[name]);
        } else if (node.matches(FIELDS)) {
            fill(node);
        } else if (node.matches("stripe-pricing-table,stripe-buy-button")) {
            const name = "client-reference-id";
            if (isOurs(node.getAttribute(name))) {
                node.setAttribute(name, api.referral);
                note("stripe", node);
            }
        }
    });

    const decorate = (root = document.documentElement) =>
        [root, ...root.querySelectorAll(ALL)].forEach(dress);

    // --- who sent him ---

    const pause = (time) => new Promise((done) => setTimeout(done, time));

    const ask = async (path, options) =>
        Promise.race([
            fetch(`${base}/affiliate/v1/${config.key}/${path}`, options),
            pause(PATIENCE),
        ]);

    const post = (what, body) =>
        ask(what, {
            method: "POST",
            body: JSON.stringify(body),
            credentials: "include",
            keepalive: true,
        })
            .then((answer = {}) => {
                note(what, body, answer.status);
                return !!answer.ok && (answer.status > 200 || answer.json());
            })
            .catch((error) => !!note(what, body, error));

    // When our server has said who the visitor is, if it says so within a second.
    const soon = () => Promise.race([pending, pause(1000)]);

    const join = (code, id) => (id ? `${code}_${id}` : code);

    const become = (code, id) => {
        seen[api.referral] = true;
        api.referral = join(code, id);
    };

    const store = safe((renewed) => {
        if (mayStore()) {
            const age = config.days * 86400;
            // A cookie that our server has set is left alone: Safari keeps it longer.
            if (renewed || cookie(COOKIE) !== api.referral) {
                bake(COOKIE, api.referral, age);
            }
            if (renewed || recall() !== api.referral) {
                localStorage.setItem(
                    COOKIE,
                    `${api.referral} ${Date.now() + age * 1000}`
                );
            }
        }
        api.core.kept();
    });

    // Our server says who the visitor is, as it believes only in ids that it has issued.
    // So one visit after the other.
    const tell = async (news, before) => {
        busy++;
        await before;
        const [, code, known] = parse(api.referral);
        const {reference} = await post(
            "click",
            Object.assign({}, news, {
                reference: join(news.code, known),
                store: news.store && mayStore(),
            })
        );
        const [, , issued] = parse(reference);
        if (issued) {
            become(code, issued);
            store();
        }
        busy--;
        decorate();
    };

    // Here, and at our server if this is a new visit.
    const keep = () => {
        store(visit && visit.store);
        if (visit) {
            pending = tell(visit, pending);
        }
    };

    // Browsers leave some characters in an address that are none.
    const clean = (url) => url.replace(/[\\^`{|}]/g, encodeURIComponent).slice(0, 4000);

    const arrive = (named, came, url) => {
        const code = named.toUpperCase();
        if (seen[code]) {
            return;
        }
        seen[code] = true;
        const [, known, id = came] = parse(api.referral);
        const first = (config.first && known) || code;
        become(first, id);
        // One who came by our own link or from another domain is recorded already.
        visit = (!came || came !== id) && {
            code,
            url: clean(url),
            referrer: clean(document.referrer),
            was: came,
            store: first === code,
        };
        note("arrived", code, api.referral, came);
        keep();
        decorate();
    };

    // Copied addresses must not share a visitor. By the browser's function: ours would
    // look again.
    const clear = safe((came) => {
        const url = location.href.replace(`_${came}`, "");
        if (came && url !== location.href) {
            History.prototype.replaceState.call(history, history.state, "", url);
        }
    });

    // Of an address; without a name, of what stands behind "=". It ends where an address
    // goes on, and nothing is too broken to be decoded.
    const read = (text, name = "") =>
        new URLSearchParams(
            text.normalize("NFKD").replace(/ß/g, "ss").replace(/[?#]/g, "&")
        ).get(name) || "";

    // As people copy it: decoded, also where that was done twice, without the rest of an
    // address and what is not seen or stands around it. Our server understands more
    // (lib/codes.py).
    const look = (url) =>
        config.parameters.some((name) => {
            const [, code, came] = parse(
                read("=" + read("=" + read(url, name))).replace(/[^\w-]/g, "")
            );
            if (code) {
                clear(came);
                arrive(code, came, url);
            }
            return code;
        });

    // What is clicked may be inside of a component (shadow DOM): closest() stays in it.
    const around = (event, selector) =>
        event.composedPath().find((node) => node.matches && node.matches(selector));

    on(window, "pointerdown click auxclick submit", (event) => {
        const node = around(event, "a[href],form");
        if (node) {
            decorate(node); // the page may have changed it since
        }
    });

    // --- what a page may call ---

    commands = {
        ready: (done) => soon().then(safe(() => done(api.referral))),

        lead: ({email, captcha}, done) =>
            soon()
                .then(
                    () =>
                        !!api.referral &&
                        post("lead", {email, captcha, reference: api.referral})
                )
                .then(done && safe(done)),

        consent(yes) {
            const news = yes && !agreed;
            agreed = !!yes;
            note("consent", agreed);
            if (!agreed) {
                bake(COOKIE, "", 0);
                bake("affiliate_popup", "", 0); // see popup.js
                localStorage.removeItem(COOKIE);
            } else if (news && api.referral) {
                keep();
            }
        },

        offer: (done) =>
            Promise.resolve()
                .then(
                    () =>
                        api.referral &&
                        ask(`offer?via=${parse(api.referral)[1]}&lang=${lang()}`).then(
                            (answer) => answer.json()
                        )
                )
                .catch((error) => note("offer", error))
                .then((offer) => safe(done)(offer || {})),

        popup(options = {}) {
            waiting.push(options);
            setTimeout(goOn, PATIENCE);
            load("popup");
        },
    };

    // --- begin ---

    // A router may have changed the address before we came: this is how it was.
    const begin = () =>
        look(location.href) ||
        performance.getEntriesByType("navigation").some(({name}) => look(name));

    // Keep up with what the page does later.
    const follow = () => {
        for (const name of ["pushState", "replaceState"]) {
            const was = history[name];
            history[name] = function (...values) {
                was.apply(this, values);
                safe(begin)();
            };
        }
        on(window, "popstate", begin);
        new MutationObserver(
            safe((changes) =>
                changes.forEach((change) =>
                    change.addedNodes.forEach((node) => node.matches && decorate(node))
                )
            )
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
            kept() {}, // when something was stored
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
        const [, code, id] = parse(api.referral);
        if (code && !id) {
            arrive(code, id, location.href); // what our server did not answer
        }
        decorate();
        safe(follow)();
        const asked = location.search.includes("affiliate_debug=1") && "debug";
        for (const name of ["debug", "compat", "popup"]) {
            if (name in script.dataset || name === asked) {
                load(name);
            }
        }
        api.q = {push: (call) => api(...call)}; // for who kept the stub
        queue.forEach(api.q.push);
        soon().then(() =>
            document.dispatchEvent(
                new CustomEvent("affiliate:ready", {detail: {referral: api.referral}})
            )
        );
    };

    // A page that is only prepared has no visitor yet.
    if (document.prerendering) {
        on(document, "prerenderingchange", start);
    } else {
        start();
    }
})(AFFILIATE_CONFIG);
