// The hosted e-mail form in a popup, before an element's own address is followed.
// Loaded by affiliate.js where an element has data-affiliate-popup, or by a call.
(function () {
    const api = window.affiliate;
    const {base, config, commands, waiting, note, safe, on, put} = api.core;
    const PATIENCE = 4000; // milliseconds for the form, then we go on without it
    let passing; // the element that goes on after its popup

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
    const go = (options, person) => {
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
            location.assign(address);
        } else if (options.opener) {
            passing = options.opener;
            passing.click();
            passing = null;
        }
    };

    const popup = (options) => {
        const back = options.opener || document.activeElement;
        const title = options.title || "Sign up";
        const dialog = create(
            "dialog",
            "border:0;padding:0;border-radius:8px;width:30rem;max-width:100%;" +
                "box-shadow:0 0 0 100vmax rgba(0,0,0,.5)",
            {ariaLabel: title}
        );
        const frame = create(
            "iframe",
            "display:block;border:0;width:100%;height:20rem",
            {title}
        );
        const cross = create(
            "button",
            "position:absolute;top:0;right:0;width:44px;height:44px;border:0;" +
                "background:none;font-size:24px;cursor:pointer",
            {type: "button", textContent: "×", ariaLabel: "Close"}
        );
        const opened = Date.now();
        let open = true;

        const close = () => {
            open = false;
            dialog.remove();
            back.focus();
        };
        const leave = (person) => {
            if (open) {
                close();
                go(options, person);
            }
        };
        const timer = setTimeout(safe(leave), PATIENCE);
        on(window, "message", ({data, origin, source}) => {
            if (
                !open ||
                source !== frame.contentWindow ||
                origin !== new URL(base).origin
            ) {
                return;
            }
            clearTimeout(timer);
            if (data.affiliate === "height") {
                frame.style.height = `${Number(data.height)}px`;
            } else if (data.affiliate === "done") {
                leave(data);
            } else if (data.affiliate === "close") {
                close();
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
            frame.src =
                `${base}/affiliate/form/${config.key}?` +
                new URLSearchParams({
                    embed: 1,
                    reference: api.referral || "",
                    to: options.to ? absolute(options.to).href : "",
                    origin: location.origin,
                    lang: document.documentElement.lang,
                });
            dialog.append(frame, cross);
            document.body.append(dialog);
            dialog.showModal();
        } catch (error) {
            note("error", error);
            leave();
        }
    };

    const inNewTab = ({ctrlKey, metaKey, shiftKey}) => ctrlKey || metaKey || shiftKey;

    on(window, "click", (event) => {
        const opener = event.composedPath()[0].closest("[data-affiliate-popup]");
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
    commands.popup = api.core.open = popup;
    waiting.splice(0).forEach(popup);
})();
