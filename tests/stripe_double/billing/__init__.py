"""The invoice engine: what Stripe Billing computes, in integers of minor units.

``amounts``        rounding, spreading, prices, proration
``discounts``      coupons and promotion codes becoming Discount objects
``lines``          invoice lines, their discounts and taxes, the invoice's totals
``drafts``         a new invoice, and how lines get onto it
``invoices``       life of an invoice: draft, open, paid, void, uncollectible
``payments``       payment intents, charges, invoice payments, customer balance
``balance``        the merchant's balance transactions and payouts
``credit_notes``   taking back what was invoiced
``subscriptions``  life of a subscription, driven by the clock
``prorations``     changes in the middle of a period
"""
