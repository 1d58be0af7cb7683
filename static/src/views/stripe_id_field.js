import {CopyButton} from "@web/core/copy_button/copy_button";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {Component} from "@odoo/owl";

const SHOWN_WHOLE = 20;

/** An id of Stripe: its two ends, the whole on hover, and a button that copies it. */
export class StripeIdField extends Component {
    static template = "affiliate_stripe.StripeIdField";
    static components = {CopyButton};
    static props = {...standardFieldProps};

    setup() {
        this.copied = _t("Copied");
    }

    get whole() {
        return this.props.record.data[this.props.name] || "";
    }

    get short() {
        const {whole} = this;
        return whole.length > SHOWN_WHOLE
            ? `${whole.slice(0, 10)}…${whole.slice(-6)}`
            : whole;
    }
}

registry.category("fields").add("affiliate_stripe_id", {
    component: StripeIdField,
    displayName: _t("Stripe ID"),
    supportedTypes: ["char"],
});
