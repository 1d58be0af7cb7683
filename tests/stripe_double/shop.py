"""A shop in a few words: the merchant's calls scenarios need, as plain dicts.

Everything goes through the real package over HTTP; these are only shorter names.
"""


class Shop:
    """``Shop(double).subscribe("jane@example.com", shop.price(3000))``."""

    def __init__(self, double, key="sk_test_double"):
        self.double = double
        self.client = double.client(key)

    # -- any call

    def get(self, path, **params):
        return self.client.raw_request("get", f"/v1/{path}", **params).data

    def post(self, path, **params):
        return self.client.raw_request("post", f"/v1/{path}", **params).data

    def delete(self, path, **params):
        return self.client.raw_request("delete", f"/v1/{path}", **params).data

    def pages(self, path, **params):
        """Every object of a list, newest first."""
        params.setdefault("limit", 100)
        while True:
            page = self.get(path, **params)
            yield from page["data"]
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]

    # -- catalogue

    def product(self, name="Pro", **params):
        return self.post("products", name=name, **params)

    def price(self, amount, currency="usd", interval="month", product=None, **params):
        """A recurring price; ``interval=None`` makes it a one-time price."""
        if interval:
            count = params.pop("interval_count", 1)
            params["recurring"] = {"interval": interval, "interval_count": count}
        product = product or self.product(f"Plan {amount} {currency}")["id"]
        return self.post(
            "prices",
            unit_amount=amount,
            currency=currency,
            product=product,
            **params,
        )

    def tax_rate(self, percentage, inclusive=False, name="VAT"):
        return self.post(
            "tax_rates",
            percentage=percentage,
            inclusive=inclusive,
            display_name=name,
        )

    def coupon(self, percent=None, amount=None, currency="usd", **params):
        params.setdefault("duration", "forever")
        if percent is not None:
            params["percent_off"] = percent
        else:
            params.update(amount_off=amount, currency=currency)
        return self.post("coupons", **params)

    def code(self, code, percent=20, **params):
        """A promotion code over a new coupon (``percent``, or ``coupon=`` an id)."""
        coupon = params.pop("coupon", None) or self.coupon(percent)["id"]
        promotion = {"type": "coupon", "coupon": coupon}
        return self.post("promotion_codes", code=code, promotion=promotion, **params)

    # -- customers and sales

    def customer(self, email="jane@example.com", **params):
        return self.post("customers", email=email, **params)

    def subscribe(self, customer, *prices, **params):
        """Prices are prices or ids; a customer may be given as an e-mail address."""
        if isinstance(customer, str) and "@" in customer:
            customer = self.customer(customer)
        items = params.pop("items", None) or [{"price": _id(p)} for p in prices]
        return self.post("subscriptions", customer=_id(customer), items=items, **params)

    def switch(self, subscription, price, behavior="always_invoice", **params):
        """Upgrade or downgrade the first item."""
        item = subscription["items"]["data"][0]["id"]
        return self.post(
            f"subscriptions/{subscription['id']}",
            items=[{"id": item, "price": _id(price)}],
            proration_behavior=behavior,
            **params,
        )

    def draft(self, customer, *amounts, currency="usd", **params):
        """A manual invoice with one item per amount, not finalized; and its items."""
        draft = self.post(
            "invoices", customer=_id(customer), currency=currency, **params
        )
        items = [
            self.post(
                "invoiceitems",
                customer=_id(customer),
                invoice=draft["id"],
                **self._item(amount, currency),
            )
            for amount in amounts
        ]
        return draft, items

    def invoice(self, customer, *amounts, currency="usd", pay=True, **params):
        """A manual invoice with one line per amount (or price, or item dict)."""
        draft, _items = self.draft(customer, *amounts, currency=currency, **params)
        path = f"invoices/{draft['id']}"
        self.post(f"{path}/finalize")
        invoice = self.get(path)
        if pay and invoice["status"] == "open":
            return self.post(f"{path}/pay")
        return invoice

    @staticmethod
    def _item(amount, currency):
        if isinstance(amount, int):
            return {"amount": amount, "currency": currency, "description": "Work"}
        if amount.get("object") == "price":
            return {"pricing": {"price": amount["id"]}}
        return amount

    def checkout(self, *prices, mode=None, **params):
        """An open Checkout Session; ``mode`` follows from the first price."""
        mode = mode or ("subscription" if prices[0]["recurring"] else "payment")
        items = [{"price": _id(p), "quantity": 1} for p in prices]
        if "discounts" not in params:
            params.setdefault("allow_promotion_codes", True)
        return self.post("checkout/sessions", mode=mode, line_items=items, **params)

    def buy(self, price, email, code=None, **params):
        """Open a Checkout and complete it as the customer would."""
        session = self.checkout(price, **params)
        return self.double.complete_session(
            session["id"], email=email, promotion_code=code
        )

    def link(self, *prices, **params):
        items = [{"price": _id(p), "quantity": 1} for p in prices]
        params.setdefault("allow_promotion_codes", True)
        return self.post("payment_links", line_items=items, **params)

    # -- afterwards

    def payments(self, invoice):
        """InvoicePayments of an invoice, with their payment intents expanded."""
        return self.get(
            "invoice_payments",
            invoice=_id(invoice),
            expand=["data.payment.payment_intent"],
        )["data"]

    def charge_of(self, invoice):
        """The charge that paid an invoice (its id)."""
        for made in self.payments(invoice):
            intent = made["payment"].get("payment_intent")
            if made["status"] == "paid" and intent:
                return intent["latest_charge"]
        raise ValueError(f"Nothing was charged for {_id(invoice)}")

    def refund(self, invoice_or_charge, amount=None, **params):
        key = _id(invoice_or_charge)
        charge = self.charge_of(key) if key.startswith("in_") else key
        if amount is not None:
            params["amount"] = amount
        return self.post("refunds", charge=charge, **params)

    def endpoint(self, url, events=("*",), **params):
        return self.post(
            "webhook_endpoints", url=url, enabled_events=list(events), **params
        )


def _id(thing):
    return thing if isinstance(thing, str) else thing["id"]
