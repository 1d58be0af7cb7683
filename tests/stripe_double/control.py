"""What no merchant API does: the acts of customers and banks, time, hostility.

The same methods work in the test process (:class:`StripeDouble` is a
:class:`Control`) and over HTTP (``POST /_double/<method>`` with the arguments as a
JSON object; :class:`~.remote.DoubleClient`). All of them take and return JSON data.
"""

from . import history
from .billing import authorizations, invoices, payments, subscriptions
from .billing import discounts as discounting
from .bulk import Bulk
from .chaos import Rule
from .dates import add_months
from .errors import missing
from .render import Renderer
from .resources import completion, customers, links, payouts, refunds, schedules
from .world import clone

#: Settings that :meth:`Control.configure` may change, with what they do.
SETTINGS = {
    "api_version": "version of new events and of endpoints without their own",
    "allow_http_live": "accept http:// webhook addresses in live mode",
    "check_answers": "check whole answers too, with everything expanded (slow)",
    "debits_booked": "on the balance when made, sent to the bank (hours later) or paid",
    "dunning_end": "after the last failed attempt: cancel, unpaid or past_due",
    "minimum_charges": "invoices below the minimum go to the customer's balance",
    "payment_records": "what is paid out of band leaves a payment record",
    "quiet": "log no events (bulk loading of history)",
    "refund_status_at_creation": "succeeded, pending or requires_action",
    "refunds_without_charge": "new refunds name their payment intent only",
    "timezone": "of the accounts' dashboard, or None",
    "strict": "check objects against the package's annotations",
}


#: What the clock calls for each kind of entry in a world's schedule.
DUE = {
    "authorization": authorizations.expire,
    "debit": payments.send_debit,
    "draft": invoices.finish_draft,
    "expiry": discounting.expire,
    "invoice": invoices.retry,
    "schedule": schedules.tick,
    "subscription": subscriptions.tick,
}


class Control:
    """Mixed into :class:`StripeDouble`; see the module's docstring."""

    # -- finding

    def find(self, kind, key):
        """The object and its world, whichever account and mode it is in."""
        for world in self.worlds.values():
            obj = world.get(kind, key)
            if obj is not None:
                return world, obj
        raise missing(kind, key)

    def get(self, kind, id, expand=()):
        """Any object as the API would answer it, e.g. to look at a discount."""
        with self.lock:
            world, obj = self.find(kind, id)
            key = self.keys.register("sk_test_control")
            return clone(Renderer(world, key).answer(obj, list(expand)))

    def all(self, kind, account=None, livemode=False, **where):
        """All objects of a type, oldest first, filtered by equal fields."""
        with self.lock:
            world = self.world(account, livemode)
            found = world.all(kind, **where)
            if kind == "event":
                return [world.whole_event(event) for event in found]
            return clone(found)

    # -- customers

    def complete_session(self, session_id, email=None, name=None, **how):
        """Pay on the Checkout page. ``how``: promotion_code (typed), phone, decline,
        delayed."""
        with self.lock:
            world, session = self.find("checkout.session", session_id)
            done = completion.complete(world, session, email, name, **how)
            return clone(done)

    def settle_session(self, session_id, succeed=True):
        """The delayed payment of a completed session arrives or fails."""
        with self.lock:
            world, session = self.find("checkout.session", session_id)
            return clone(completion.settle_delayed(world, session, succeed))

    def expire_session(self, session_id):
        """The customer never came back."""
        with self.lock:
            world, session = self.find("checkout.session", session_id)
            with world.change(session):
                session["status"], session["url"] = "expired", None
            world.emit("checkout.session.expired", session)
            return clone(session)

    def open_payment_link(
        self, link_id, client_reference_id=None, promotion_code=None, email=None
    ):
        """Follow a payment link; returns the session it made."""
        with self.lock:
            world, link = self.find("payment_link", link_id)
            session = links.open_link(
                world, link, client_reference_id, promotion_code, email
            )
            return clone(session)

    def set_customer_discount(self, customer_id, promotion_code=None, coupon=None):
        """A discount on the customer (Dashboard): no API sets one at this version."""
        with self.lock:
            world, customer = self.find("customer", customer_id)
            if customer["discount"]:
                customers.remove_discount(world, customer)
            entry = (
                {"promotion_code": promotion_code}
                if promotion_code
                else {"coupon": coupon}
            )
            keys = discounting.adopt(world, [entry], customer)
            discount = world.peek("discount", keys[0])
            with world.change(customer):
                customer["discount"] = clone(discount)
            world.emit("customer.discount.created", discount)
            return clone(customer)

    def remove_customer_discount(self, customer_id):
        with self.lock:
            world, customer = self.find("customer", customer_id)
            customers.remove_discount(world, customer)
            return clone(customer)

    def card_declines(self, customer_id, declines=True):
        """From now on the customer's card fails (or works again)."""
        with self.lock:
            world, _customer = self.find("customer", customer_id)
            world.side[customer_id]["declines"] = declines

    def pay_invoice(self, invoice_id, amount=None):
        """The customer pays an open invoice, a part of it, or too much (transfer)."""
        with self.lock:
            world, invoice = self.find("invoice", invoice_id)
            return clone(invoices.pay(world, invoice, amount))

    def fail_invoice_payment(self, invoice_id):
        """An attempt to charge the invoice is declined."""
        with self.lock:
            world, invoice = self.find("invoice", invoice_id)
            invoices.fail_payment(world, invoice)
            return clone(invoice)

    def debit_invoice(self, invoice_id):
        """The customer has an open invoice debited from his bank: then it takes days
        until it is paid (:meth:`pay_invoice`) or not (:meth:`fail_invoice_payment`)."""
        with self.lock:
            world, invoice = self.find("invoice", invoice_id)
            invoices.start_debit(world, invoice)
            return clone(invoice)

    def pay_by_debit(self, amount, customer=None, currency="usd"):
        """A payment asked for at a bank: pending until :meth:`settle_payment`."""
        with self.lock:
            world = self.world()
            intent = payments.new_intent(
                world, amount, currency, customer, payment_method_types=["sepa_debit"]
            )
            payments.start_debit(world, intent, *self._whose(world, customer))
            return clone(intent)

    @staticmethod
    def _whose(world, customer):
        known = customer and world.find("customer", customer)
        return (known["email"], known["name"]) if known else (None, None)

    def settle_payment(self, intent_id, succeed=True):
        """The bank's answer to a debit under way."""
        with self.lock:
            world, intent = self.find("payment_intent", intent_id)
            act = payments.collect if succeed else payments.refuse
            return clone(act(world, intent))

    def authorize(self, amount, customer=None, currency="usd"):
        """A payment that is set aside on the card and captured, or not, later."""
        with self.lock:
            world = self.world()
            intent = payments.new_intent(
                world, amount, currency, customer, capture_method="manual"
            )
            whose = self._whose(world, customer)
            return clone(authorizations.authorize(world, intent, *whose))

    def capture(self, charge_id, amount=None, api_version=None):
        """Take what was authorized, or a part; with an ``api_version`` before
        2025-03-31 a Refund tells what was let go."""
        with self.lock:
            world, charge = self.find("charge", charge_id)
            return clone(authorizations.capture(world, charge, amount, api_version))

    def release(self, charge_id, reason="requested_by_customer", api_version=None):
        """Let go of an authorization."""
        with self.lock:
            world, charge = self.find("charge", charge_id)
            authorizations.release(world, charge, reason, api_version)
            return clone(charge)

    # -- banks

    def refund_status(self, refund_id, status):
        """pending, requires_action, succeeded, failed or canceled."""
        with self.lock:
            world, refund = self.find("refund", refund_id)
            return clone(refunds.set_status(world, refund, status))

    def force_refund(self, charge_id, amount=None, status="succeeded"):
        """A refund Stripe's API would not make, e.g. of a charge that was disputed."""
        with self.lock:
            world, charge = self.find("charge", charge_id)
            left = refunds.left_of(world, charge)
            amount = left if amount is None else amount
            return clone(refunds.make(world, charge, amount, status=status))

    def open_dispute(self, charge_id, amount=None, inquiry=False, reason="fraudulent"):
        """The cardholder's bank claims the money; an inquiry takes nothing yet."""
        with self.lock:
            world, charge = self.find("charge", charge_id)
            made = refunds.open_dispute(world, charge, amount, inquiry, reason)
            return clone(made)

    def escalate_dispute(self, dispute_id):
        """An inquiry becomes a dispute: now the money is withdrawn."""
        with self.lock:
            world, dispute = self.find("dispute", dispute_id)
            with world.change(dispute, "charge.dispute.updated"):
                dispute["status"] = "needs_response"
                dispute["is_charge_refundable"] = False
            refunds.withdraw(world, dispute)
            return clone(dispute)

    def close_dispute(self, dispute_id, status):
        """won, lost, warning_closed, or prevented (which refunds the charge)."""
        with self.lock:
            world, dispute = self.find("dispute", dispute_id)
            refunds.close_dispute(world, dispute, status)
            if status == "prevented":
                charge = world.peek("charge", dispute["charge"])
                refunds.make(world, charge, dispute["amount"])
            return clone(dispute)

    # -- time

    def now(self):
        return self.clock.now()

    def advance(self, seconds=0, *, days=0, months=0, to=None):
        """Move the clock; everything due happens in order, at its own moment."""
        with self.lock:
            start = self.clock.now()
            target = start if to is None else to
            target = add_months(target, months) + days * 86400 + seconds
            while True:
                due = [w for w in self.worlds.values() if w.due]
                world = min(due, key=lambda w: w.due[0], default=None)
                if world is None or world.due[0][0] > target:
                    break
                moment, _ticket, what, key = world.pop_due()
                self.clock.set(max(moment, self.clock.now()))
                DUE[what](world, key)
            self.clock.set(target)
            return target

    # -- very much at once, see bulk.py

    def fill(self, invoices, promotion_codes=(), months=24, seed=0):
        """Test-mode history: so many invoices of ``months`` months, twelve a customer,
        every fourth customer with one of the promotion codes (ids). Returns counts."""
        with self.lock:
            world = self.world()
            world.bulk = Bulk(world, invoices, promotion_codes, months, seed)
            return {kind: len(keys) for kind, keys in world.order.items()}

    def history(self, acts):
        """Let things have happened before now, without events: ``[moment, act,
        values]`` each (see ``history.py``). Returns counts."""
        with self.lock:
            return history.play(self, self.world(), acts)

    def renew(self, count, types=("invoice.paid",)):
        """``count`` invoices of the bulk's customers are paid now; their events of
        ``types`` are logged and to be delivered."""
        with self.lock:
            self.world().bulk.renew(count, types)

    def take(self):
        """What is to be delivered, as signed ``[url, headers, body]``; the taker does
        it from now on."""
        taken = []
        for delivery in self.deliveries():
            url, headers, body = delivery.request()
            taken.append([url, headers, body.decode()])
            delivery.drop()
        return taken

    def traffic(self):
        """How many API requests there were so far."""
        return self.app.counter

    # -- what nothing else makes

    def alter(self, kind, id, events=(), **fields):
        """Set fields of an object directly, logging ``events``: for statuses and
        amounts no act of the double leads to (``amount_overpaid``, an appeal …)."""
        with self.lock:
            world, obj = self.find(kind, id)
            with world.change(obj, *events):
                obj.update(fields)
            return clone(obj)

    def fake_event(self, type, object, account=None, livemode=False, **fields):
        """Send an event with any type and object to every endpoint: unknown types,
        objects without an id, other versions. Not checked, not in ``/v1/events``."""
        with self.lock:
            world = self.world(account, livemode)
            event = world.event(type, {"object": object}) | fields
            return [d.as_dict() for d in self.hooks.queue_fake(world, event)]

    def pay_out(self, currency="usd", account=None, livemode=False):
        """An automatic payout of everything not paid out yet in a currency."""
        with self.lock:
            world = self.world(account, livemode)
            return clone(payouts.pay_out(world, currency))

    # -- settings and hostility

    def configure(self, **settings):
        for name, value in settings.items():
            if name not in SETTINGS:
                raise ValueError(f"unknown setting {name!r}: {sorted(SETTINGS)}")
            setattr(self, name, value)

    def add_key(self, key, account=None, permissions=None, state="active"):
        """Register a key: ``permissions`` of a restricted one (``coupon_write`` …),
        another ``account``, or ``state`` revoked or expired."""
        with self.lock:
            self.keys.register(key, account, permissions, state)

    def only_known_keys(self, exclusive=True):
        """Refuse keys that were not registered with :meth:`add_key`."""
        self.keys.exclusive = exclusive

    def disturb(self, action, pattern=".", times=1, probability=None, **arguments):
        """A chaos rule, see ``chaos.py``: status, drop, timeout, latency, truncate
        or lost, for requests whose ``"METHOD /path"`` matches ``pattern``."""
        with self.lock:
            self.chaos.rules.append(
                Rule(action, pattern, times, probability, **arguments)
            )

    def hostility(self, **modes):
        """page_size, absent_nulls, stale_events, rate_limit; see ``chaos.py``."""
        for name, value in modes.items():
            if name not in ("page_size", "absent_nulls", "stale_events", "rate_limit"):
                raise ValueError(f"unknown mode {name!r}")
            setattr(self.chaos, name, value)

    def calm(self):
        """No more hostility of any kind."""
        self.chaos.clear()

    # -- webhooks and logs

    def deliveries(self):
        """Pending :class:`~.webhooks.Delivery` objects, oldest first."""
        with self.lock:
            return self.hooks.deliveries()

    def deliver(self, order=None, shuffle=None, duplicate=0, drop=(), limit=None):
        """Send what is pending, see :meth:`~.webhooks.Hooks.deliver`."""
        return self.hooks.deliver(order, shuffle, duplicate, drop, limit)

    def wait_delivered(self, timeout=30):
        return self.hooks.wait(timeout)

    def rewrite_webhooks(self, **addresses):
        """Where posts for a public address really go: ``{public: loopback}``."""
        self.hooks.rewrite.update(addresses)

    def events(self, account=None, livemode=False, type=None):
        """The event log, oldest first."""
        where = {"type": type} if type else {}
        return self.all("event", account, livemode, **where)

    def request_log(self, method=None, path=None):
        """Requests so far as plain data, optionally of one method and path."""
        return [
            r.as_dict()
            for r in self.requests
            if method in (None, r.method) and path in (None, r.path)
        ]
