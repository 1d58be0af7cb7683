"""What Stripe does that is easily done wrong, and which test holds us to it.

One line of plain words a case, then its tests as ``file::test``. A note says what of
the case is none of our business, or belongs to a later step: revenue of Stripe as
journal entries (the mirror keeps all that it will need). ``test_stripe_cases.py``
fails when a number or a named test is missing.
"""

from typing import NamedTuple


class Case(NamedTuple):
    title: str
    tests: tuple
    note: str


def case(title, *tests, note=""):
    return Case(title, tests, note)


_LATER = "Later step: journal entries of Stripe's money."

CASES = {
    # --- invoices and amounts --------------------------------------------------------
    1: case(
        "An invoice of nought (trial, 100 % off) is paid without money",
        "test_tricky_invoices::test_nothing_to_pay_earns_nothing_and_is_remembered",
        "test_money_examples::test_07_trial_and_twelve_months",
        "test_lib_commission::test_free_and_skipped_sales_use_up_nothing",
    ),
    2: case(
        "Paid outside of Stripe: no charge; the programme says whether it earns",
        "test_mirror_money::test_paid_outside_of_stripe",
        "test_mirror_money::test_cash_given_back_for_an_invoice_paid_outside",
        "test_lib_commission::test_off_stripe_payments_count_where_the_programme_says_so",
    ),
    3: case(
        "Too little to be charged becomes a debt and earns nothing",
        "test_tricky_invoices::test_a_debt_from_before_earns_nothing",
    ),
    4: case(
        "What the customer's balance pays is not received now",
        "test_money_examples::test_03_customer_balance",
    ),
    5: case(
        "An old debt paid with the invoice earns nothing; refunds go back to both",
        "test_tricky_invoices::test_a_debt_from_before_earns_nothing",
        "test_part_paid::test_refunds_go_back_to_both_in_proportion",
        "test_part_paid::test_a_credit_note_is_about_the_invoice_and_not_the_debt",
    ),
    6: case(
        "A total below nought goes to the balance: no row, no negative row",
        "test_money_examples::test_08_downgrade_goes_to_the_balance",
        "test_mirror_money::test_negative_lines_and_negative_invoices",
    ),
    7: case(
        "Prorations: every line counts with its sign",
        "test_money_examples::test_08_upgrade_in_the_middle",
        "test_lib_commission::test_lines_count_with_their_sign_but_a_sale_never_below_nought",
        "test_fixed_amounts::test_seats_added_in_the_middle_of_a_month",
    ),
    8: case(
        "More lines than one answer shows",
        "test_credit_notes::test_more_than_ten_lines",
        "test_mirror_money::test_what_does_not_add_up_is_held_and_shown",
    ),
    9: case(
        "Discounts of lines and of the whole; what does not add up is held",
        "test_money_examples::test_13_rates_per_product_and_a_coupon",
        "test_money_examples::test_18_item_discount",
        "test_lib_stripe::test_the_net_of_a_line",
        "test_mirror_money::test_what_does_not_add_up_is_held_and_shown",
    ),
    10: case(
        "Codes of two affiliates on one invoice: the first one applied earns, alone",
        "test_tricky_invoices::test_two_codes_on_one_invoice_earn_once",
    ),
    11: case(
        "Tax inside the price or on top of it",
        "test_money_examples::test_01_tax_on_top",
        "test_money_examples::test_02_inclusive_tax",
        "test_lib_stripe::test_the_net_of_a_line",
    ),
    12: case(
        "Lines of several tax rates, and of none; customers who pay no tax",
        "test_tricky_invoices::test_taxes_of_several_rates_earn_nothing",
        "test_tricky_invoices::test_who_pays_no_tax_is_worth_all_he_pays",
        note="Later step: which tax of Odoo each rate is.",
    ),
    13: case(
        "Taxes that Stripe rounds otherwise: its totals count",
        "test_mirror_money::test_what_does_not_add_up_is_held_and_shown",
        "test_lib_stripe::test_what_an_invoice_leaves_unexplained",
    ),
    14: case(
        "Prices in tiers and in parts of a cent",
        "test_mirror_money::test_tiers_and_quantities_with_decimals",
        "test_plans::test_a_price_without_a_single_amount",
        "test_fixed_amounts::test_once_for_the_tiers_of_a_price",
    ),
    15: case(
        "Quantities with decimals",
        "test_mirror_money::test_a_fixed_amount_for_each_unit_counts_parts_of_units",
        "test_lib_stripe::test_quantities",
    ),
    16: case(
        "Prices by the package: the line's amount counts, not units times price",
        "test_tricky_invoices::test_packages_are_worth_what_their_line_says",
    ),
    17: case(
        "Currencies of nought and three decimals, and where Stripe differs from ISO",
        "test_lib_money::test_minor_units_are_those_of_stripe_not_of_iso",
        "test_money_examples::test_14_currencies",
        "test_mirror_money::test_credit_notes_in_currencies_of_nought_and_three_decimals",
        "test_lib_commission::test_a_currency_that_odoo_rounds_coarser",
        "test_archived_currency::test_three_decimals_at_once",
    ),
    18: case(
        "Other currencies than the company's are not converted before the bill",
        "test_money_examples::test_14_currencies",
        "test_settlement_bills::test_every_currency_its_own_bill",
    ),
    19: case(
        "Shown to the customer in his currency: what was charged counts",
        "test_mirror_money::test_adaptive_pricing_shown_in_another_currency",
        "test_mirror_money::test_adaptive_pricing_charged_in_another_currency",
    ),
    20: case(
        "Drafts earn nothing, change, and vanish",
        "test_tricky_invoices::test_a_draft_earns_nothing_and_may_vanish",
        "test_reviewed::test_lines_removed_from_a_draft_are_forgotten",
    ),
    21: case(
        "A revision takes the place of its original",
        "test_mirror_money::test_void_and_revised",
    ),
    22: case(
        "Void for good, also when we hear of it before anything else",
        "test_tricky_invoices::test_void_is_heard_of_first",
        "test_mirror_money::test_void_and_revised",
    ),
    23: case(
        "Written off, paid in part before or paid after all",
        "test_mirror_money::test_written_off_and_paid_later",
        "test_part_paid::test_what_was_paid_before_it_was_given_up_earns",
        "test_part_paid::test_void_after_all_earns_nothing",
    ),
    24: case(
        "A card fails and the retry pays; the news of the failure comes last",
        "test_tricky_invoices::test_a_card_that_fails_earns_when_it_pays",
        "test_lib_commission::test_a_late_payment_loses_no_month",
    ),
    25: case(
        "An invoice paid in parts earns when it is paid in full, a row a part",
        "test_mirror_money::test_several_payments_for_one_invoice",
    ),
    26: case(
        "One payment for two invoices",
        "test_mirror_money::test_one_payment_for_two_invoices",
    ),
    27: case(
        "Paid too much: the excess earns nothing, and goes back first",
        "test_part_paid::test_the_excess_goes_back_first",
        "test_part_paid::test_what_the_balance_paid_is_not_received_by_paying_too_much",
        "test_tricky_invoices::test_what_is_paid_too_much_earns_nothing",
        "test_lib_commission::test_net_and_share_received",
    ),
    28: case(
        "A bill sent by mail is overdue, then paid",
        "test_tricky_invoices::test_an_overdue_bill_earns_when_it_is_paid",
    ),
    29: case(
        "Debits that take days: complete is not paid, and pending is open",
        "test_tricky_invoices::test_a_delayed_payment_earns_when_it_arrives",
        "test_tricky_invoices::test_a_debit_under_way_earns_when_it_arrives",
    ),
    30: case(
        "A debit comes back after it had succeeded",
        "test_tricky_invoices::test_a_payment_that_fails_after_it_succeeded",
        "test_lib_stripe::test_what_the_bank_took_back",
        "test_money_examples::test_06_dispute_lost",
    ),
    31: case(
        "Invoices by hand or from a quote, without subscription, product or price",
        "test_tricky_invoices::test_a_bill_without_price_or_subscription",
        "test_money_examples::test_01_tax_on_top",
    ),
    32: case(
        "Credit grants are no money received",
        "test_mirror_money::test_credit_grants_are_no_money_received",
    ),
    33: case(
        "Numbers of invoices are names, not keys",
        "test_tricky_invoices::test_two_invoices_of_one_number",
        "test_accounts::test_two_accounts_of_one_company",
    ),
    # --- refunds, disputes, credit notes ---------------------------------------------
    34: case(
        "Several refunds never sum to more than the whole; the charge's sum is a check",
        "test_money_examples::test_04_partial_refunds",
        "test_tricky_money_back::test_the_sum_on_the_charge_is_a_check_and_no_refund",
        "test_tricky_money_back::test_refunds_made_before_we_knew_the_charge",
        "test_lib_commission::test_refunds_always_sum_to_the_whole",
    ),
    35: case(
        "All refunded, and the invoice stays paid",
        "test_money_examples::test_05_refund_after_payout",
        "test_money_examples::test_11_refund_before_its_payment",
    ),
    36: case(
        "A refund under way counts, and once",
        "test_tricky_money_back::test_a_refund_counts_from_when_it_is_under_way",
    ),
    37: case(
        "A refund fails: what it took comes back",
        "test_money_examples::test_04_failed_refund_comes_back",
        "test_credit_notes::test_a_failed_refund_brings_it_back",
    ),
    38: case(
        "A refund that waits for the customer, or is cancelled, takes nothing",
        "test_tricky_money_back::test_a_refund_counts_from_when_it_is_under_way",
    ),
    39: case(
        "A credit note and its refund count once, whoever comes first",
        "test_credit_notes::test_a_note_and_its_refund_count_once_in_any_order",
        "test_credit_notes::test_the_note_first_and_all_again",
        "test_credit_notes::test_a_refund_larger_than_its_note",
    ),
    40: case(
        "A credit note before the payment makes the sale smaller",
        "test_credit_notes::test_before_payment_reduces_its_line_and_the_total",
        "test_credit_notes::test_all_before_payment_earns_nothing",
    ),
    41: case(
        "A credit note after it: refund, balance and cash in one",
        "test_credit_notes::test_what_goes_to_the_balance_takes_back_nothing",
        "test_credit_notes::test_only_to_the_balance",
    ),
    42: case(
        "A credit note is voided",
        "test_credit_notes::test_void_takes_nothing",
    ),
    43: case(
        "A credit note with tax about a part of a line",
        "test_credit_notes::test_after_payment_takes_back_on_its_line",
        "test_credit_notes::test_rates_of_the_named_line_count",
    ),
    44: case(
        "A refund of no charge is kept and moves nothing",
        "test_tricky_money_back::test_a_refund_of_no_charge_moves_nothing",
    ),
    45: case(
        "Refunds at another exchange rate, fees that stay",
        "test_mirror_money::test_adaptive_pricing_charged_in_another_currency",
        note=f"{_LATER} A commission is a share of the charge, in its currency.",
    ),
    46: case(
        "A refund larger than one of the invoices it is about",
        "test_mirror_money::test_one_payment_for_two_invoices",
        "test_mirror_money::test_a_credit_note_says_which_of_two_invoices",
    ),
    47: case(
        "An inquiry of the bank holds and takes nothing",
        "test_tricky_money_back::test_an_inquiry_only_holds",
    ),
    48: case(
        "A dispute holds the row; only a lost one takes",
        "test_money_examples::test_06_dispute",
        "test_money_examples::test_06_dispute_lost",
        "test_settlement_bills::test_a_dispute_takes_the_row_out_of_a_draft_settlement",
        "test_settlement_bills::test_a_dispute_leaves_a_bill_alone",
        "test_balance::test_a_dispute_brings_its_fee",
        note=f"{_LATER} Money withdrawn and its fee.",
    ),
    49: case(
        "A dispute is won: the row is free again",
        "test_money_examples::test_06_dispute",
    ),
    50: case(
        "A dispute is lost without any refund; one that follows counts once",
        "test_money_examples::test_06_dispute_lost",
        "test_attribution::test_a_refund_of_a_lost_dispute_counts_once",
    ),
    51: case(
        "Refund and dispute of one charge never take more than all",
        "test_tricky_money_back::test_what_a_refund_took_no_dispute_takes_again",
        "test_credit_notes::test_a_note_and_a_lost_dispute_never_take_more_than_all",
    ),
    52: case(
        "Several disputes of one charge, an appeal, statuses nobody knows yet",
        "test_tricky_money_back::test_several_disputes_and_an_appeal",
        "test_versions::test_statuses_of_the_future",
    ),
    53: case(
        "A dispute prevented by a refund",
        "test_tricky_money_back::test_a_prevented_dispute_is_a_refund",
    ),
    54: case(
        "An early warning of fraud is news, no more",
        "test_tricky_money_back::test_a_warning_of_fraud_moves_nothing",
    ),
    # --- customers, subscriptions, codes ---------------------------------------------
    55: case(
        "A customer changes his address and stays who he is",
        "test_attribution::test_a_changed_address_keeps_the_affiliate",
        "test_attribution::test_a_changed_address_leads_to_no_other_claim",
        "test_attribution::test_nobody_joins_a_person_by_changing_his_address",
    ),
    56: case(
        "Two customers with one address are one person",
        "test_attribution::test_a_second_stripe_customer_of_the_same_person_follows",
    ),
    57: case(
        "A customer is deleted: what was earned stays",
        "test_attribution::test_a_deleted_customer_keeps_his_binding",
        "test_versions::test_a_deleted_customer_keeps_what_was_earned",
        "test_processing::test_a_deleted_object_is_archived",
    ),
    58: case(
        "A guest buys: no customer at Stripe",
        "test_attribution::test_a_guest_of_the_checkout",
        "test_money_examples::test_lifetime_deal_without_invoice",
        "test_mirror_money::test_a_guest_gets_his_money_back",
    ),
    59: case(
        "Customers with no address, or with something that is none",
        "test_attribution::test_customers_without_an_address_are_not_one_person",
        "test_tricky_customers::test_what_is_no_address_is_nobody",
    ),
    60: case(
        "A code is added to a running subscription",
        "test_attribution::test_a_code_counts_from_the_invoice_that_carries_it",
        "test_attribution::test_a_discount_on_the_customer",
    ),
    61: case(
        "A discount ends or is taken away: the customer stays the affiliate's",
        "test_attribution::test_a_discount_that_ended_ends_nothing",
        "test_tricky_customers::test_a_discount_taken_away_ends_nothing",
    ),
    62: case(
        "Coupon deleted, code switched off: who has the discount keeps it",
        "test_tricky_customers::test_a_discount_outlives_its_coupon_and_code",
        "test_codes::test_a_coupon_deleted_in_stripe_is_made_again",
    ),
    63: case(
        "The same text again is another code",
        "test_tricky_customers::test_the_same_text_again_is_another_code",
        "test_codes::test_a_foreign_code_taken_meanwhile_stops_a_reactivation",
        "test_codes::test_another_discount_makes_another_coupon_and_promotion_code",
    ),
    64: case(
        "A code somebody made by hand is nobody's until it is adopted",
        "test_attribution::test_somebody_elses_promotion_code_is_no_evidence",
        "test_attribution::test_an_adopted_code_counts_for_payments_already_made",
        "test_codes::test_way_out_one_adopt_it",
    ),
    65: case(
        "A code is made once, whatever breaks in between",
        "test_codes::test_a_crash_after_the_coupon_makes_no_second_one",
        "test_codes::test_a_crash_after_the_promotion_code_makes_no_second_one",
        "test_codes::test_a_rollback_after_stripe_has_it_makes_no_second_one",
        "test_codes::test_the_same_code_by_hand_is_an_error_with_ways_out",
    ),
    66: case(
        "Limits of a code are Stripe's to keep; other limits are another code",
        "test_codes::test_one_coupon_a_programme_and_one_promotion_code_a_code",
        "test_codes::test_another_restriction_makes_another_promotion_code",
    ),
    67: case(
        "A fixed discount is worth what the lines say, in its currency only",
        "test_tricky_customers::test_a_fixed_discount_counts_where_it_was_given",
    ),
    68: case(
        "A paused subscription: its void invoices earn nothing, or it has none",
        "test_tricky_subscriptions::test_a_paused_subscription_earns_nothing",
        "test_tricky_subscriptions::test_a_subscription_asleep_earns_nothing",
    ),
    69: case(
        "A first payment that never comes; a trial that becomes a customer",
        "test_tricky_subscriptions::test_a_first_payment_that_never_came",
        "test_attribution::test_a_trial_binds_nobody_before_money_comes_in",
    ),
    70: case(
        "More units, upgrades, phases, a start in the past, cancellations: only"
        " invoices earn",
        "test_tricky_subscriptions::test_more_units_and_an_end_in_the_middle",
        "test_tricky_subscriptions::test_phases_of_a_schedule_earn_by_their_invoices",
        "test_tricky_subscriptions::test_a_start_in_the_past_earns_what_it_is_charged",
        "test_money_examples::test_08_upgrade_in_the_middle",
    ),
    71: case(
        "A month and a year in one subscription",
        "test_tricky_subscriptions::test_a_month_and_a_year_in_one_subscription",
    ),
    72: case(
        "An affiliate who is his own customer: held until a person decides",
        "test_quality::test_the_affiliates_own_purchase_is_held",
    ),
    # --- delivery, modes, technical --------------------------------------------------
    73: case(
        "The same event again, also at the same moment or while it is worked on",
        "test_together::test_one_row_however_many_come_at_once",
        "test_webhook::test_a_duplicate_is_one_row",
        "test_upkeep::test_two_share_the_work_and_do_nothing_twice",
        "test_upkeep::test_what_comes_again_is_harmless",
        "test_money_examples::test_11_any_order_and_repetition",
    ),
    74: case(
        "Two events about one change",
        "test_processing::test_events_of_one_object_cost_one_request",
        "test_money_examples::test_04_partial_refunds",
        "test_any_order::test_history_00",
    ),
    75: case(
        "Any order ends the same",
        "test_any_order::test_history_00",
        "test_money_examples::test_11_refund_before_its_payment",
        "test_lib_commission::test_the_order_of_facts_never_matters",
        "test_lib_attribution::test_the_order_of_arrival_never_matters",
    ),
    76: case(
        "Older news never overwrites newer",
        "test_processing::test_the_payload_is_never_the_truth",
        "test_processing::test_an_older_answer_never_overwrites_a_newer_one",
    ),
    77: case(
        "News of something that is gone",
        "test_tricky_delivery::test_news_of_what_is_gone",
        "test_processing::test_an_event_of_an_object_that_never_was_is_done",
    ),
    78: case(
        "Events in another API version",
        "test_versions::test_events_of_every_version_say_the_same",
        "test_versions::test_a_warning_while_they_keep_arriving",
    ),
    79: case(
        "Test and live never mix, also where an object names no mode",
        "test_accounts::test_test_and_live_mode_of_one_account",
        "test_webhook::test_what_is_not_for_us_is_kept_as_ignored",
        "test_balance::test_what_names_no_mode_has_that_of_its_account",
        "test_keys::test_a_key_of_another_account_or_mode_is_refused",
    ),
    80: case(
        "Events of connected accounts are not ours",
        "test_webhook::test_what_is_not_for_us_is_kept_as_ignored",
        "test_webhook::test_our_own_account_id_is_not_foreign",
        note="What a platform takes of others' sales is not mirrored.",
    ),
    81: case(
        "Several accounts and companies, even with the same ids",
        "test_accounts::test_two_accounts_of_one_company",
        "test_accounts::test_accounts_of_two_companies",
        "test_accounts::test_people_of_one_company_see_and_change_nothing_of_another",
    ),
    82: case(
        "Weeks without events",
        "test_run_nightly::test_a_poll_that_comes_too_late_has_everything_read",
        "test_run_nightly::test_after_a_month_without_events_everything_is_read",
        "test_run_nightly::test_each_night_what_is_open_is_read_again",
        "test_polling::test_a_lost_webhook_heals_within_a_day",
    ),
    83: case(
        "A webhook in the middle of reading history",
        "test_runs::test_a_webhook_between_reading_and_storing",
        "test_runs::test_a_webhook_in_the_middle",
        "test_runs::test_a_walk_may_end_after_any_page",
    ),
    84: case(
        "What changes without any event",
        "test_tricky_delivery::test_what_changes_without_an_event",
        note="Nothing scheduled reads balance transactions: they come with their payout"
        " or dispute, and when all is read. What moves on a customer's balance is not"
        " mirrored: invoices say what of it they used.",
    ),
    85: case(
        "The fee of a charge comes later",
        "test_tricky_delivery::test_a_fee_that_comes_later",
    ),
    86: case(
        "Payouts: automatic, by hand, failed after all; they must add up",
        "test_balance::test_a_payout_brings_its_balance_transactions",
        "test_balance::test_a_payout_that_does_not_add_up_is_shown",
        "test_balance::test_a_manual_payout_brings_its_own_transaction_only",
        "test_balance::test_a_payout_that_fails_later",
        note=_LATER,
    ),
    87: case(
        "Movements of the balance that no object of ours explains",
        "test_tricky_delivery::test_movements_that_nothing_explains",
        note=_LATER,
    ),
    88: case(
        "Settled in another currency than charged",
        "test_tricky_delivery::test_movements_that_nothing_explains",
        note=f"{_LATER} The mirror keeps currency and rate of both sides.",
    ),
    89: case(
        "Stripe is slow, busy or away",
        "test_processing::test_a_weak_moment_of_stripe_costs_no_try",
        "test_processing::test_a_short_hiccup_is_retried_at_once",
        "test_processing::test_a_crash_while_writing_leaves_the_events_pending",
        "test_failures::test_pauses_grow_until_stripe_answers",
        "test_codes::test_an_answer_that_never_came_is_asked_for_again_at_once",
    ),
    90: case(
        "A secret is rolled",
        "test_endpoints::test_no_event_is_lost_while_a_secret_is_rolled",
        "test_webhook::test_secrets_of_several_endpoints_are_valid_at_once",
        "test_versions::test_several_signatures",
    ),
    91: case(
        "Clocks that differ: what is refused for its age is told to the log",
        "test_versions::test_clocks_that_differ",
        "test_lib_stripe::test_what_is_refused",
    ),
    92: case(
        "Huge and hostile bodies",
        "test_webhook_bodies::test_a_body_that_is_too_large_is_refused",
        "test_webhook_bodies::test_signed_rubbish_is_refused_without_a_word",
        "test_webhook_bodies::test_nested_too_deeply_is_no_event",
        "test_webhook_bodies::test_another_content_type_is_refused",
        "test_webhook_bodies::test_strange_but_valid_events_are_kept",
        "test_versions::test_types_of_the_future_and_objects_without_an_id",
    ),
    93: case(
        "A key is revoked, a permission taken away",
        "test_processing::test_a_revoked_key_stops_the_account_and_burns_no_event",
        "test_processing::test_a_permission_taken_away_is_named",
    ),
    94: case(
        "News for a month that is closed in the books",
        note=f"{_LATER} Bills of commissions are core documents, dated as core does.",
    ),
    95: case(
        "Paid out already when the refund comes",
        "test_money_examples::test_05_refund_after_payout",
        "test_settlement_bills::test_a_refund_after_the_bill_goes_to_the_next_settlement",
        "test_settlement_bills::test_a_negative_sum_becomes_a_credit_note_where_an_accountant_asks",
    ),
    96: case(
        "Our own writes come back as events",
        "test_codes::test_our_own_echo_makes_nothing_new",
    ),
    97: case(
        "What an event says has changed is a hint at most",
        "test_tricky_money_back::test_what_an_event_claims_moves_no_money",
        "test_processing::test_the_payload_is_never_the_truth",
    ),
    98: case(
        "Metadata, names and descriptions of strangers are text",
        "test_escaping::test_lists_and_forms",
        "test_escaping::test_portal",
        "test_escaping::test_statement_and_mail",
        "test_tricky_customers::test_metadata_as_long_as_it_gets",
        "test_attribution::test_rubbish_from_third_parties_is_no_evidence",
        "test_reviewed::test_cleared_metadata_keeps_the_binding",
        "test_reviewed::test_metadata_added_later_takes_no_customer_away",
        "test_failures::test_what_stripe_says_is_no_html",
    ),
}
