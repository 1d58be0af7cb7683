import {
    changeOptionInPopover,
    clickOnSave,
    clickOnSnippet,
    insertSnippet,
    registerWebsitePreviewTour,
} from "@website/js/tours/tour_utils";
import {registry} from "@web/core/registry";

const FORM = ".s_affiliate_form";
/**
 * Insert a block by the browser's own click: the one of tours tells the frame of the
 * dialog, when that is gone, that the pointer has left it, and Chromium 156 crashes.
 */
function drop(id, name) {
    const steps = insertSnippet({id, name, groupName: "Contact & Forms"});
    steps.find(({trigger}) => trigger.includes(id)).run = function () {
        this.anchor.click();
    };
    return steps;
}

const OPTIONS = "[data-container-title='E-mail Form']";

registerWebsitePreviewTour(
    "affiliate_form_edit",
    {url: "/affiliate-landing", edition: true},
    () => [
        ...drop("s_affiliate_form_block", "Affiliate E-mail Form"),
        {
            content: "A new form has a programme",
            trigger: `:iframe ${FORM} form[action^='/affiliate/form/']`,
        },
        ...clickOnSnippet(`${FORM} [name=email]`),
        ...changeOptionInPopover("E-mail Form", "Programme", "Beta"),
        {
            trigger: `${OPTIONS} [data-label='Programme'] .dropdown-toggle:contains(Beta)`,
        },
        {
            content: "The visitor goes on to a page of this website",
            trigger: `${OPTIONS} [data-label='Goes on to'] input`,
            run: "edit /contactus && press Enter",
        },
        {
            trigger: `${OPTIONS} [data-label='Placeholder'] input`,
            run: "edit jane@example.com && press Enter",
        },
        {
            content: "No consent text",
            trigger: `${OPTIONS} [data-label='Consent text'] input[type=checkbox]:checked`,
            run: "click",
        },
        {
            trigger: `:iframe ${FORM} .s_affiliate_form_consent.d-none:not(:visible)`,
        },
        {
            content: "The text of the button is edited where it stands",
            trigger: `:iframe ${FORM} .s_affiliate_form_button`,
            run: "editor Off we go",
        },
        ...clickOnSave(),
    ]
);

registerWebsitePreviewTour(
    "affiliate_popup_edit",
    {url: "/affiliate-landing", edition: true},
    () => [
        ...drop("s_affiliate_form_popup", "Affiliate E-mail Popup"),
        {
            trigger: `:iframe .s_popup .modal:visible ${FORM} form[action^='/affiliate/form/']`,
        },
        ...clickOnSnippet(`.s_popup ${FORM} [name=email]`),
        ...changeOptionInPopover("Affiliate E-mail Popup", "Display", "On Exit"),
        {
            trigger: ":iframe .s_popup .modal[data-display='mouseExit']",
        },
        ...clickOnSave(),
    ]
);

registerWebsitePreviewTour(
    "affiliate_form_without_programme",
    {url: "/affiliate-landing", edition: true},
    () => [
        ...drop("s_affiliate_form_block", "Affiliate E-mail Form"),
        {
            trigger: ".o_notification:contains(has no affiliate programme yet)",
        },
        {
            trigger: ":iframe #wrap:not(:has(.s_affiliate_form_block))",
        },
        ...clickOnSave(),
    ]
);

registry.category("web_tour.tours").add("affiliate_form_use", {
    steps: () => [
        {
            content: "No address",
            trigger: `${FORM} button:contains(Off we go)`,
            run: "click",
        },
        {
            trigger: `${FORM} [role=alert]:contains(Please tell us your e-mail address)`,
        },
        {
            trigger: `${FORM} [name=email][aria-invalid=true][placeholder='jane@example.com']`,
            run: "edit jane@example.com",
        },
        {
            content: "The message is gone as soon as it is minded",
            trigger: `${FORM}:not(:has([role=alert])) button`,
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: "body:has([data-model_name='mail.mail'])",
        },
    ],
});

registry.category("web_tour.tours").add("affiliate_popup_use", {
    steps: () => [
        {
            content: "Nothing is shown before the pointer leaves the page",
            trigger: "body:has(.s_popup .modal:not(:visible))",
            run() {
                document.body.dispatchEvent(new MouseEvent("mouseleave"));
            },
        },
        {
            content: "A wrong address does not close the popup",
            trigger: `.s_popup .modal.show ${FORM} [name=email]`,
            run: "edit jane",
        },
        {
            trigger: `.s_popup .modal.show ${FORM} button`,
            run: "click",
        },
        {
            trigger: `.s_popup .modal.show ${FORM}:has([role=alert]) [name=email]`,
            run: "edit jane@example.com",
        },
        {
            trigger: `.s_popup .modal.show ${FORM} button`,
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: "body:has([data-model_name='mail.mail'])",
        },
    ],
});
