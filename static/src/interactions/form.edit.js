import {Interaction} from "@web/public/interaction";
import {registry} from "@web/core/registry";

/**
 * In the website editor, clicks and keys on the button and on the label edit their text.
 */
export class AffiliateFormEdit extends Interaction {
    static selector = ".s_affiliate_form form";
    dynamicContent = {
        _root: {
            "t-on-click.prevent": () => {},
            "t-on-submit.prevent": () => {},
        },
        ".s_affiliate_form_button": {
            "t-on-keydown": this.onKeydown,
        },
    };

    /**
     * Browsers press a button with the space bar instead of writing a space.
     */
    onKeydown(event) {
        if (event.key === " ") {
            event.preventDefault();
            document.execCommand("insertText", false, " ");
        }
    }
}

registry.category("public.interactions.edit").add("affiliate_stripe.form", {
    Interaction: AffiliateFormEdit,
});
