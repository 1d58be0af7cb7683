import {Component, onWillUnmount, useEffect, xml} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

export const REFRESH_EVERY = 3000;

/**
 * Reads the record of a form again and again while a field of it has a value, and never
 * else: `<widget name="affiliate_refresh_while" field="state" value="running" />`, or is
 * true, where no value is given. Somebody who is typing, or looks at another tab, is left
 * alone.
 */
export class RefreshWhile extends Component {
    static template = xml``;
    static props = {
        ...standardWidgetProps,
        field: {type: String},
        value: {type: String, optional: true},
    };

    setup() {
        useEffect(
            (going) => {
                if (going) {
                    this.plan();
                }
                return () => clearTimeout(this.timer);
            },
            () => [this.isGoing]
        );
        onWillUnmount(() => {
            this.gone = true;
            clearTimeout(this.timer);
        });
    }

    get isGoing() {
        const value = this.props.record.data[this.props.field];
        return this.props.value ? value === this.props.value : Boolean(value);
    }

    plan() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.refresh(), REFRESH_EVERY);
    }

    async refresh() {
        const {record} = this.props;
        if (!this.isBusy()) {
            try {
                await record.load();
            } catch {
                // The server is away for a moment: it is asked again.
            }
        }
        if (!this.gone && this.isGoing) {
            this.plan();
        }
    }

    isBusy() {
        const typing = document.activeElement?.matches(
            ".o_form_view input, .o_form_view textarea, .modal *"
        );
        return typing || document.hidden || this.props.record.dirty;
    }
}

registry.category("view_widgets").add("affiliate_refresh_while", {
    component: RefreshWhile,
    extractProps: ({attrs}) => ({field: attrs.field, value: attrs.value}),
});
