import {Interaction} from "@web/public/interaction";
import {registry} from "@web/core/registry";

/**
 * A button that copies the text of the field beside it. Without JavaScript the button
 * is not shown; the text can still be marked by hand.
 */
export class Copy extends Interaction {
    static selector = ".o_affiliate_copy";
    dynamicContent = {
        ".o_affiliate_copy_button": {
            "t-on-click.prevent": this.onClick,
            "t-att-class": () => ({"d-none": false}),
        },
        ".o_affiliate_copy_icon": {
            "t-att-class": () => ({
                "fa-clipboard": !this.copied,
                "fa-check": this.copied,
            }),
        },
        ".o_affiliate_copy_done": {
            "t-att-class": () => ({"d-none": !this.copied}),
        },
    };

    setup() {
        this.copied = false;
    }

    async onClick() {
        const field = this.el.querySelector("input");
        field.select();
        if (navigator.clipboard) {
            await this.waitFor(navigator.clipboard.writeText(field.value));
        } else {
            // Browsers have no clipboard for pages that are not served over https.
            document.execCommand("copy");
        }
        this.copied = true;
        this.updateContent();
        this.waitForTimeout(() => {
            this.copied = false;
        }, 2000);
    }
}

registry.category("public.interactions").add("affiliate_stripe.copy", Copy);
