import {BaseOptionComponent} from "@html_builder/core/utils";
import {onWillStart} from "@odoo/owl";

/**
 * What an editor of the website chooses for the e-mail form. Its texts are edited where
 * they stand; colours are those of the theme.
 */
export class AffiliateFormOption extends BaseOptionComponent {
    static template = "affiliate_stripe.FormOption";
    static selector = ".s_affiliate_form";
    static dependencies = ["affiliateFormOption"];

    setup() {
        super.setup();
        onWillStart(async () => {
            this.programs = await this.dependencies.affiliateFormOption.fetchPrograms();
        });
    }
}
