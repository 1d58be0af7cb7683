{
    "name": "Affiliate Programme for Stripe",
    "summary": "Run your own affiliate programme on Stripe payments, with real books",
    "version": "19.0.1.0.2",
    "category": "Marketing",
    "author": "affiliate_stripe contributors",
    "license": "LGPL-3",
    "depends": ["account", "iap", "mail", "portal", "utm", "website"],
    "external_dependencies": {
        "python": [
            "crawlerdetect",
            "disposable-email-domains",
            "publicsuffixlist",
            "stripe",
        ]
    },
    "data": [
        # Security
        "security/affiliate_security.xml",
        "security/ir.model.access.csv",
        "security/affiliate_rules.xml",
        # Data
        "data/affiliate_data.xml",
        "data/ir_cron_data.xml",
        "data/mail_layout_data.xml",
        "data/mail_template_data.xml",
        # Reports
        "report/affiliate_settlement_report.xml",
        # Wizards
        "wizards/affiliate_settlement_wizard_views.xml",
        "wizards/affiliate_bill_wizard_views.xml",
        "wizards/affiliate_move_wizard_views.xml",
        "wizards/affiliate_person_wizard_views.xml",
        "wizards/affiliate_reject_wizard_views.xml",
        "wizards/affiliate_plan_wizard_views.xml",
        "wizards/affiliate_rule_wizard_views.xml",
        "wizards/affiliate_link_wizard_views.xml",
        "wizards/affiliate_application_wizard_views.xml",
        "wizards/affiliate_adopt_wizard_views.xml",
        "wizards/affiliate_stripe_home_wizard_views.xml",
        "wizards/affiliate_timezone_wizard_views.xml",
        # Backend views
        "views/affiliate_commission_rule_views.xml",
        "views/affiliate_program_views.xml",
        "views/affiliate_affiliate_views.xml",
        "views/affiliate_application_views.xml",
        "views/affiliate_code_views.xml",
        "views/affiliate_click_views.xml",
        "views/affiliate_referral_views.xml",
        "views/affiliate_referral_flag_views.xml",
        "views/affiliate_commission_views.xml",
        "views/affiliate_settlement_views.xml",
        "views/affiliate_stripe_account_views.xml",
        "views/affiliate_stripe_event_views.xml",
        "views/affiliate_stripe_run_views.xml",
        "views/affiliate_stripe_mirror_views.xml",
        "views/affiliate_stripe_credit_note_views.xml",
        "views/affiliate_stripe_payout_views.xml",
        "views/affiliate_stripe_balance_transaction_views.xml",
        "views/account_move_views.xml",
        "views/res_partner_views.xml",
        "views/res_config_settings_views.xml",
        "views/affiliate_menus.xml",
        # Public pages and portal
        "views/website_templates.xml",
        "views/capture_templates.xml",
        "views/snippets.xml",
        "views/portal_templates.xml",
    ],
    "demo": ["demo/affiliate_demo.xml"],
    "assets": {
        "web.assets_backend": ["affiliate_stripe/static/src/views/*"],
        "web.assets_frontend": [
            "affiliate_stripe/static/src/scss/affiliate.scss",
            "affiliate_stripe/static/src/interactions/*",
            ("remove", "affiliate_stripe/static/src/interactions/*.edit.js"),
        ],
        "website.assets_inside_builder_iframe": [
            "affiliate_stripe/static/src/interactions/*.edit.js",
        ],
        "website.website_builder_assets": [
            "affiliate_stripe/static/src/website_builder/*",
        ],
        "web.assets_tests": ["affiliate_stripe/static/tests/tours/*"],
        "web.assets_unit_tests": [
            "affiliate_stripe/static/tests/interactions/*",
            "affiliate_stripe/static/tests/views/*",
        ],
        "web.assets_unit_tests_setup": [
            # Listens for the same event as the form.
            "google_recaptcha/static/src/interactions/recaptcha_form.js",
            "affiliate_stripe/static/src/interactions/*",
        ],
    },
    "application": True,
    "uninstall_hook": "uninstall_hook",
    # Non-empty, or Odoo would show README.md as the description.
    "description": " ",
}
