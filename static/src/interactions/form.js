import {Interaction} from "@web/public/interaction";
import {ReCaptcha} from "@google_recaptcha/js/recaptcha";
import {_t} from "@web/core/l10n/translation";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {uniqueId} from "@web/core/utils/functions";

/**
 * The e-mail form on a page of the website: sends the address, says at the field what is
 * wrong with it, and leads the visitor on. Without this the form works as a plain one,
 * and the hosted form answers it (controllers/capture.py).
 */
export class AffiliateForm extends Interaction {
    static selector = ".s_affiliate_form";
    dynamicContent = {
        // On the way down: Odoo's own handler of captchas would send it as a page.
        _root: {"t-on-submit.capture.prevent.stop": this.locked(this.onSubmit)},
        form: {
            "t-att-class": () => ({"d-none": this.isDone}),
        },
        "[type=submit]": {
            "t-att-class": () => ({"opacity-50": this.isSending}),
        },
        ".s_affiliate_form_consent": {
            "t-att-id": () => this.consentId,
        },
        "[name=email]": {
            "t-on-input": this.forgetProblem,
            "t-att-class": () => ({"is-invalid": this.isWrong}),
            "t-att-aria-invalid": () => this.isWrong && "true",
            "t-att-aria-describedby": () => this.describedBy(),
        },
    };

    setup() {
        this.isDone = false;
        this.isSending = false;
        this.isWrong = false;
        this.problemEl = null;
        this.consentId = uniqueId("affiliate_consent_");
        this.formEl = this.el.querySelector("form");
        this.recaptcha = new ReCaptcha();
    }

    async willStart() {
        await this.recaptcha.loadLibs();
    }

    describedBy() {
        const consent = this.el.querySelector(".s_affiliate_form_consent:not(.d-none)");
        return (
            [this.problemEl?.id, consent && this.consentId].filter(Boolean).join(" ") ||
            undefined
        );
    }

    async onSubmit() {
        this.forgetProblem();
        this.isSending = true;
        this.updateContent();
        let answer = null;
        try {
            answer = await this.waitFor(this.send());
        } catch {
            // No answer, or none of ours: what was typed stays.
            answer = {
                error: _t("Your address could not be sent. Please try again."),
            };
        }
        this.isSending = false;
        this.protectSyncAfterAsync(() =>
            answer.error ? this.showProblem(answer) : this.goOn(answer)
        )();
    }

    /**
     * Send what is in the form, to this website only.
     *
     * @returns {Promise<Object>} {to, message}, or {error, at_field, to}
     */
    async send() {
        const url = new URL(this.formEl.getAttribute("action"), browser.location.href);
        if (url.origin !== browser.location.origin) {
            throw new Error("This form belongs to another site.");
        }
        const values = new FormData(this.formEl);
        values.set("lang", document.documentElement.lang);
        const captcha = await this.recaptcha.getToken(this.formEl.dataset.captcha);
        if (captcha.error) {
            return captcha;
        }
        if (captcha.token) {
            values.set("recaptcha_token_response", captcha.token);
        }
        const response = await browser.fetch(url.href, {
            method: "POST",
            body: values,
            headers: {Accept: "application/json"},
        });
        return response.json();
    }

    showProblem({error, at_field, to}) {
        this.isWrong = Boolean(at_field);
        [this.problemEl] = this.renderAt(
            "affiliate_stripe.form_problem",
            {id: uniqueId("affiliate_problem_"), error, to},
            this.el.querySelector(".s_affiliate_form_field"),
            "afterend"
        );
        this.el.querySelector("[name=email]").focus();
    }

    forgetProblem() {
        this.problemEl?.remove();
        this.problemEl = null;
        this.isWrong = false;
    }

    goOn({to, message}) {
        if (to) {
            // A popup that was answered is not shown again.
            const modalEl = this.el.closest(".s_popup .modal");
            if (modalEl) {
                window.Modal.getOrCreateInstance(modalEl).hide();
            }
            browser.location.assign(to);
            return;
        }
        this.isDone = true;
        const [thanksEl] = this.renderAt("affiliate_stripe.form_thanks", {message});
        thanksEl.focus();
    }
}

registry.category("public.interactions").add("affiliate_stripe.form", AffiliateForm);
