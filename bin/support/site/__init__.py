"""The sample site of bin/demo: a business on an address of its own that sells a
subscription, and has the affiliate programme's script on its pages.

Nothing of it is needed to run the addon. `stripe.js` stands in for what Stripe's own
script would bring: the elements of its pricing table and buy button, which here lead to
the pages of the Stripe double.
"""
