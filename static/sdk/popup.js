/* global AFFILIATE_CONFIG */
// The hosted e-mail form in a popup: on a click, before the element's own address is
// followed; by a call; or by itself (data-popup on the script line, see offer).
// Loaded by affiliate.js where the page asks for one. controllers/sdk.py puts the texts
// in the visitor's language in the place of AFFILIATE_CONFIG.
(function (texts) {
    const api = window.affiliate;
    const {base, config, script, commands, waiting, note, safe, on, put} = api.core;
    const {around, cookie, bake, mayStore} = api.core;
    const SHOWN = "affiliate_popup"; // this visitor has seen one
    const PATIENCE = 4000; // milliseconds for the form, then we go on without it
    const TYPING = "input,textarea,select,[contenteditable],iframe";
    let passing; // the element that goes on after its popup
    let shown = false;

    const create = (name, style, values) => {
        const element = Object.assign(document.createElement(name), values);
        // Not an attribute: policies forbid those.
        element.style.cssText = style;
        return element;
    };

    const absolute = (address) => new URL(address, document.baseURI);

    // The form says where to go on: with what the programme's settings add to it, but
    // never elsewhere.
    const confirmed = (own, said) => {
        const [here, there] = [own, said].map(absolute);
        return here.origin + here.pathname === there.origin + there.pathname;
    };

    // On to where the element leads, also where there was no form.
    const go = (options, person, steps) => {
        const {email, reference = api.referral, to} = person || {};
        let address = to && options.to && confirmed(options.to, to) ? to : options.to;
        note("popup", address, email);
        if (options.done) {
            safe(options.done)({email, reference});
        }
        if (address) {
            if (options.email) {
                address = put(address, options.email, email);
            }
            if (options.reference) {
                address = put(address, options.reference, reference);
            }
            // What was sent in the frame is a step back that nobody would understand.
            location[history.length > steps ? "replace" : "assign"](address);
        } else if (options.opener) {
            passing = options.opener;
            passing.click();
            passing = null;
        }
    };

    // As the visitor's device, unless the program has only the other one.
    const {look} = texts;
    const schemeOf = () => {
        const {matches} = matchMedia("(prefers-color-scheme: dark)");
        return (matches && look.dark) || !look.light ? "dark" : "light";
    };

    const build = (title) => {
        const scheme = schemeOf();
        const [ground, ink] = look[scheme];
        const dialog = create(
            "dialog",
            // Also on pages that have taken all margins away. As the form inside: were
            // their schemes different, browsers would paint a ground of their own.
            "margin:auto;border:0;padding:0;" +
                "width:min(30rem,100% - 16px);max-width:none;" +
                `border-radius:${look.radius}px;color-scheme:${scheme};` +
                `background:${ground};color:${ink};` +
                "box-shadow:0 0 0 100vmax rgba(0,0,0,.5)",
            {ariaLabel: title}
        );
        const frame = create(
            "iframe",
            "display:block;border:0;width:100%;height:20rem",
            // By its name the form knows that it may take the focus.
            {title, name: "affiliate_popup"}
        );
        const cross = create(
            "button",
            "position:absolute;top:0;inset-inline-end:0;width:44px;height:44px;border:0;" +
                "background:none;color:inherit;font:24px/1 sans-serif;cursor:pointer",
            {type: "button", textContent: "×", ariaLabel: texts.close}
        );
        // The Tab key goes around inside: the cross, the form, its end, the cross.
        const end = create("span", "", {tabIndex: 0});
        on(end, "focus", () => cross.focus());
        on(cross, "keydown", (event) => {
            if (event.key === "Tab" && event.shiftKey) {
                event.preventDefault();
                frame.focus();
            }
        });
        dialog.append(cross, frame, end);
        return {dialog, frame};
    };

    const formOf = (options) =>
        `${base}/affiliate/form/${config.key}?` +
        new URLSearchParams({
            embed: 1,
            reference: api.referral || "",
            to: options.to ? absolute(options.to).href : "",
            origin: location.origin,
            lang: document.documentElement.lang,
        });

    // What our form in a frame says, and nobody else.
    const listen = (frame, hear) =>
        on(window, "message", ({data, origin, source}) => {
            if (source === frame.contentWindow && origin === new URL(base).origin) {
                hear(data);
            }
        });

    // Else the form's own thanks stay until they are closed.
    const leadsOn = ({to, opener, done}) => to || opener || done;

    const popup = (options) => {
        const back = options.opener || document.activeElement || document.body;
        const steps = history.length;
        const {dialog, frame} = build(options.title || texts.title);
        let opened; // when
        let open = true;

        const show = () => {
            opened = Date.now();
            shown = true;
            if (options.on && mayStore()) {
                bake(SHOWN, "1", config.days * 86400);
            }
            dialog.showModal();
            frame.focus();
        };
        const close = () => {
            open = false;
            dialog.remove();
            if (opened) {
                back.focus();
            }
        };
        const leave = (person) => {
            if (open) {
                close();
                if (person || !options.on) {
                    go(options, person, steps);
                }
            }
        };
        const timer = setTimeout(safe(leave), PATIENCE);
        listen(frame, (said) => {
            clearTimeout(timer);
            if (said.affiliate === "height") {
                frame.style.height = `${Number(said.height)}px`;
            } else if (said.affiliate === "done" && leadsOn(options)) {
                leave(said);
            } else if (said.affiliate === "close") {
                close();
            }
            if (open && !opened) {
                show();
            }
        });
        on(dialog, "close", close); // Escape
        // Beside the form, or on the cross; not the second half of a double click.
        on(dialog, "click", () => {
            if (Date.now() - opened > 500) {
                close();
            }
        });
        try {
            frame.src = formOf(options);
            document.body.append(dialog);
            if (!options.on) {
                show();
            }
        } catch (error) {
            note("error", error);
            leave();
        }
    };

    // By itself: options.on is e.g. "20 exit everybody", after 20 seconds or when the mouse
    // leaves the page at its top. Once a visitor, only for those somebody has sent
    // (everybody, if it says so), not while something is typed, and not before the form
    // is there.
    const offer = (options) => {
        const words = options.on.split(/\s+/);
        note("offered", options.on);
        const wanted = () =>
            !shown &&
            !safe(cookie)(SHOWN) &&
            (api.referral || words.includes("everybody"));
        const show = safe(() => {
            if (!wanted()) {
                return;
            }
            if (document.hidden || document.activeElement.matches(TYPING)) {
                setTimeout(show, PATIENCE);
            } else {
                shown = true;
                popup(options);
            }
        });
        const seconds = words.find(Number);
        if (seconds) {
            setTimeout(show, seconds * 1000);
        }
        if (words.includes("exit")) {
            on(document.documentElement, "pointerleave", (event) => {
                if (event.pointerType === "mouse" && event.clientY <= 0) {
                    show();
                }
            });
        }
    };

    const inNewTab = ({ctrlKey, metaKey, shiftKey}) => ctrlKey || metaKey || shiftKey;

    on(window, "click", (event) => {
        const opener = around(event, "[data-affiliate-popup]");
        if (!opener || opener === passing || inNewTab(event)) {
            return;
        }
        event.preventDefault();
        event.stopImmediatePropagation();
        const data = opener.dataset;
        popup({
            opener,
            // "#" is no address: the page has a handler of its own.
            to:
                data.affiliatePopup ||
                (/^(#|javascript:)/.test(opener.getAttribute("href"))
                    ? ""
                    : opener.href),
            email: data.affiliateEmail,
            reference: data.affiliateReference,
            title: opener.textContent.trim(),
        });
    });
    commands.popup = (options = {}) => (options.on ? offer : popup)(options);
    api.core.open = popup;
    waiting.splice(0).forEach(commands.popup);
    const {popup: when, popupTo, popupEmail, popupReference} = script.dataset;
    if (when) {
        offer({on: when, to: popupTo, email: popupEmail, reference: popupReference});
    }
})(AFFILIATE_CONFIG);
