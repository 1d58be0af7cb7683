import {AffiliateFormOption} from "./form_option";
import {Plugin} from "@html_editor/plugin";
import {SNIPPET_SPECIFIC} from "@html_builder/utils/option_sequence";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {selectElements} from "@html_editor/utils/dom_traversal";
import {withSequence} from "@html_editor/utils/resource";

class AffiliateFormOptionPlugin extends Plugin {
    static id = "affiliateFormOption";
    static shared = ["fetchPrograms"];
    resources = {
        builder_options: [withSequence(SNIPPET_SPECIFIC, AffiliateFormOption)],
        content_not_editable_selectors: ".s_affiliate_form form",
        content_editable_selectors: [
            ".s_affiliate_form_label",
            ".s_affiliate_form_button",
            ".s_affiliate_form_consent",
        ],
        on_snippet_dropped_handlers: this.onSnippetDropped.bind(this),
        so_content_addition_selector: [".s_affiliate_form"],
        so_snippet_addition_selector: [".o_affiliate_popup"],
    };

    /**
     * The programmes of the website's company.
     *
     * @returns {Promise<Object[]>} with name and action, the form's address
     */
    fetchPrograms() {
        this.programs ??= this.services.orm.call(
            "affiliate.program",
            "get_form_choices",
            [],
            {context: {website_id: this.services.website.currentWebsite.id}}
        );
        return this.programs;
    }

    /**
     * Give a new form a programme. Without one it would be of no use.
     *
     * @returns {Promise<Boolean>} whether it is not to be dropped
     */
    async onSnippetDropped({snippetEl}) {
        const forms = [...selectElements(snippetEl, ".s_affiliate_form form")];
        if (!forms.length) {
            return false;
        }
        const addresses = (await this.fetchPrograms()).map(({action}) => action);
        if (!addresses.length) {
            this.services.notification.add(
                _t("This website's company has no affiliate programme yet."),
                {type: "warning"}
            );
            return true;
        }
        for (const form of forms) {
            // A block that was saved for later has one.
            if (!addresses.includes(form.getAttribute("action"))) {
                form.setAttribute("action", addresses[0]);
            }
        }
        return false;
    }
}

registry
    .category("website-plugins")
    .add(AffiliateFormOptionPlugin.id, AffiliateFormOptionPlugin);
