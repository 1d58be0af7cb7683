import {formView} from "@web/views/form/form_view";
import {listView} from "@web/views/list/list_view";
import {registry} from "@web/core/registry";

/**
 * Whoever has paid belongs to an affiliate for good: deleting that is not offered. The
 * server refuses it as well.
 */
function withoutDeletingCustomers(items, records) {
    const {isAvailable} = items.delete;
    const hasPaid = (record) => record.data.state === "customer";
    items.delete.isAvailable = () => isAvailable() && !records().some(hasPaid);
    return items;
}

class ReferralFormController extends formView.Controller {
    getStaticActionMenuItems() {
        return withoutDeletingCustomers(super.getStaticActionMenuItems(), () => [
            this.model.root,
        ]);
    }
}

class ReferralListController extends listView.Controller {
    getStaticActionMenuItems() {
        return withoutDeletingCustomers(
            super.getStaticActionMenuItems(),
            () => this.model.root.selection
        );
    }
}

registry.category("views").add("affiliate_referral_form", {
    ...formView,
    Controller: ReferralFormController,
});
registry.category("views").add("affiliate_referral_list", {
    ...listView,
    Controller: ReferralListController,
});
