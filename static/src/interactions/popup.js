import {Popup} from "@website/interactions/popup/popup";
import {patch} from "@web/core/utils/patch";

patch(Popup.prototype, {
    /**
     * The button of our form does not close the popup it is in: the visitor may have to
     * read what is wrong with his address.
     */
    canBtnPrimaryClosePopup(button) {
        return (
            !button.closest(".s_affiliate_form form") &&
            super.canBtnPrimaryClosePopup(button)
        );
    },
});
