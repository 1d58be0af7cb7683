"""The commission of one customer, computed from all the facts there are.

Pure functions: facts in, the ledger as it *should* be out. The ledger then gets
"desired minus booked" as new rows (:func:`corrections`), so repetition, order and
collapse of events do not matter. The rules in words, with examples, are in the README
("What an affiliate earns").

Amounts are int minor units of the sale's currency, shares are Fractions, times are
Unix seconds; one rounding per ledger row.
"""

import calendar
import dataclasses
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from fractions import Fraction

from .money import round_half_up

EARNED, REFUND, DISPUTE = "earned", "refund", "dispute"
CREDIT_NOTE = "credit_note"
# Why there is nothing for what may have been booked, see why_nothing().
UNPAID, SKIPPED, UNCLEAR, CAUSE = "unpaid", "skipped", "unclear", "cause"
MONTHS, PAYMENTS, NO_RULE, NOTHING = "months", "payments", "no_rule", "nothing"
# Within one second money comes in before it goes out.
_RANK = {EARNED: 0, REFUND: 1, CREDIT_NOTE: 2, DISPUTE: 3}


@dataclass(frozen=True)
class Line:
    ref: str
    net: int  # or a Fraction, where a credit note or a foreign currency divided it
    price: str = None
    product: str = None
    interval: str = None
    quantity: int = 1
    proration: bool = False  # for a change within a period, e.g. a seat more

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Payment:
    """Money that came in. ``bucket`` groups it with its refunds and disputes."""

    kind = EARNED

    cause: str
    amount: int
    at: int
    bucket: str
    off_stripe: bool = False


@dataclass(frozen=True)
class Reversal:
    """A refund or lost dispute: ``share`` of its own charge goes back.

    Of the part of the charge, that is, which no credit note gives back.
    """

    cause: str
    kind: str
    at: int
    bucket: str
    share: Fraction


@dataclass(frozen=True)
class CreditNote:
    """What a credit note takes off the lines of a sale, before and after its payment.

    ``lines`` is the net credited on each line, ``unnamed`` what names no line, with
    tax; both are parts of ``amount``, the whole note with tax. ``before`` of it was
    never paid, ``back`` is the money of it that left the business again.
    """

    kind = CREDIT_NOTE

    cause: str
    at: int
    amount: int
    lines: dict
    unnamed: int = 0
    before: int = 0
    back: tuple = ()  # ((bucket of a payment or None, amount), …)


@dataclass(frozen=True)
class Sale:
    """An invoice, or a charge without one.

    ``paid``: what came in counts. Of an invoice that is open it does not, of one that
    was paid in part and then given up it does.
    """

    ref: str
    number: str
    created: int
    currency: str
    total: int  # with tax, without credits before payment: what was to be paid
    lines: list
    payments: list
    reversals: list = field(default_factory=list)
    credit_notes: list = field(default_factory=list)
    paid: bool = True
    dispute: str = None  # id of a dispute under way: rows are on hold
    difference: int = 0  # unexplained amount: held for review, no rows
    skipped: bool = False
    charge: str = None
    dated_by: str = None  # what tells when it was paid, if no event (``paid_moments``)
    debt: int = 0  # from before, which its payments paid as well
    from_balance: int = 0  # of the total; given where more was paid than the rest

    @property
    def due(self):
        """All that its payments were for: the sale, and what was owed before."""
        return self.total + self.debt

    def received(self, count_off_stripe=True):
        """Return the payments that are money received."""
        if not self.paid or self.total <= 0:
            return []
        return [
            payment
            for payment in self.payments
            if payment.amount > 0 and (count_off_stripe or not payment.off_stripe)
        ]

    def first_paid_at(self):
        """Return when money first came in, or None."""
        return min((payment.at for payment in self.received()), default=None)


@dataclass(frozen=True)
class Rule:
    """One commission rule, in the version that was valid in its time span."""

    id: int
    scope: str = "all"  # all, product, price
    products: frozenset = frozenset()
    prices: frozenset = frozenset()
    interval: str = None  # month, year, …, one_time; None for any
    rate_type: str = "percent"
    rate: Fraction = Fraction(0)  # 0.3 for 30 %
    amount: int = 0  # fixed, minor units of `currency`
    currency: str = None
    per_unit: bool = False
    over_base: bool = False
    prorations: bool = False  # a fixed amount is about them too
    applies_to: str = "all"  # all, first, renewal
    duration_months: int = 0
    max_count: int = 0
    valid_from: int = None
    valid_to: int = None

    def matches(self, line, sale):
        """Tell whether the rule decides this line, first or renewal apart."""
        return self.covers(line, sale) and not self.is_foreign(sale)

    def is_foreign(self, sale):
        """A fixed amount decides nothing in another currency: nothing is converted."""
        return self.rate_type != "percent" and self.currency != sale.currency

    def covers(self, line, sale):
        """Tell whether the rule is about this line, in whatever currency."""
        if self.valid_from is not None and sale.created < self.valid_from:
            return False
        if self.valid_to is not None and sale.created >= self.valid_to:
            return False
        if self.scope == "product" and line.product not in self.products:
            return False
        if self.scope == "price" and line.price not in self.prices:
            return False
        return not self.interval or self.interval == (line.interval or "one_time")

    def passes_over(self, line):
        """Tell whether a line takes no part in a fixed amount, which is for what was
        sold once: a change within a period brings no second one."""
        return self.rate_type != "percent" and line.proration and not self.prorations

    def gives(self, line):
        """Tell whether a line it decides can earn something by it."""
        if self.rate_type == "percent":
            return bool(self.rate)
        return bool(self.amount) and not self.passes_over(line)


@dataclass(frozen=True)
class Laid:
    """What of a fixed amount lies on one line of a sale, all of it being received."""

    part: int
    whole: int
    each: int  # the amount of the rule
    units: object = None  # how many of it, where it is for each unit
    capped: bool = False  # would be more than what was paid


@dataclass(frozen=True)
class Terms:
    """What a programme promises. Rules in their order: the first match decides."""

    rules: tuple
    count_off_stripe: bool = True
    step: callable = lambda currency: 1  # smallest ledger amount, minor units


@dataclass(frozen=True)
class Entry:
    """One row the ledger should have: a line and the cause that moved it."""

    line: str
    cause: str
    kind: str
    at: int  # when the cause happened
    earned_at: int  # when the money came in: the hold counts from here
    origin: str  # cause of the payment that it is, or corrects
    amount: int
    base: int
    rule: int
    rate_type: str
    rate: Fraction
    sale: Sale
    laid: Laid = None  # of a fixed amount


def add_months(day, months):
    """Return the same day ``months`` later, clamped (29 Feb + 12 = 28 Feb)."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def utc_day(timestamp):
    return datetime.fromtimestamp(timestamp, timezone.utc).date()


def ledger(sales, terms):
    """Return the entries of one customer's ledger.

    :param sales: all sales of the customer that the binding covers
    :param Terms terms: the terms of the affiliate's programme
    """
    entries = []
    for sale, first_day, count in _turns(sales, terms):
        entries += _sale_entries(sale, terms, first_day, count)
    return entries


def _turns(sales, terms):
    """Yield (sale, day of the first one, how many before it) of what can earn."""
    first_day, count = None, 0
    for sale in sorted(sales, key=lambda sale: (sale.created, sale.ref)):
        if not _is_commissionable(sale, terms) or _is_change(sale, terms, count):
            continue
        first_day = first_day or utc_day(sale.created)
        yield sale, first_day, count
        count += 1


def _is_commissionable(sale, terms):
    """A sale that can earn; others use up neither "first" nor a duration.

    Refunds play no part: they never change who was first.
    """
    if sale.skipped or sale.difference or not sale.received(terms.count_off_stripe):
        return False
    return any(
        line.net and _matching(line, sale, terms.rules) is not None
        for line in sale.lines
    )


def _is_change(sale, terms, count):
    """Tell whether a sale earns nothing for being a change within a period: such a
    one is nobody's first payment either."""
    if not any(line.proration for line in sale.lines):
        return False
    decided = [
        (line, rule)
        for line in sale.lines
        if line.net and (rule := _deciding(line, sale, terms, count))
    ]
    return any(rule.passes_over(line) for line, rule in decided) and not any(
        rule.gives(line) for line, rule in decided
    )


def foreign_rules(sale, terms):
    """Return the ids of rules passed over for their currency alone."""
    return {
        rule.id
        for rule in terms.rules
        if rule.is_foreign(sale) and any(rule.covers(line, sale) for line in sale.lines)
    }


def _matching(line, sale, rules):
    """Return the rule that gives this line something, apart from first/renewal."""
    for rule in rules:
        if rule.matches(line, sale):
            if rule.gives(line):
                return rule
            if rule.applies_to == "all":
                return None
    return None


def _deciding(line, sale, terms, count):
    """Return the rule that decides a line in its turn, or None."""
    turn = "renewal" if count else "first"
    for rule in terms.rules:
        if rule.applies_to in ("all", turn) and rule.matches(line, sale):
            return rule
    return None


def _rule_for(line, sale, terms, first_day, count):
    """Return (rule that a line earns by, None), or (None, why it earns nothing)."""
    rule = _deciding(line, sale, terms, count)
    if not rule:
        return None, NO_RULE
    if rule.duration_months and utc_day(sale.created) >= add_months(
        first_day, rule.duration_months
    ):
        return None, MONTHS
    if rule.max_count and count >= rule.max_count:
        return None, PAYMENTS
    return (rule, None) if rule.gives(line) else (None, NO_RULE)


def why_nothing(sales, terms, sale_ref, line_ref, cause):
    """Return why the ledger has no entry (any more) for a line and a cause: one of
    ``UNPAID``, ``SKIPPED``, ``UNCLEAR``, ``CAUSE``, ``MONTHS``, ``PAYMENTS``,
    ``NO_RULE``, or ``NOTHING`` when that is what it comes to.

    :param sales: all sales of the customer, as for :func:`ledger`
    """
    for sale, first_day, count in _turns(sales, terms):
        if sale.ref != sale_ref:
            continue
        causes = (
            *sale.received(terms.count_off_stripe),
            *sale.reversals,
            *sale.credit_notes,
        )
        if cause not in {known.cause for known in causes}:
            return CAUSE
        for line in sale.lines:
            if line.ref == line_ref:
                return _rule_for(line, sale, terms, first_day, count)[1] or NOTHING
        return CAUSE
    own = [sale for sale in sales if sale.ref == sale_ref]
    if any(sale.skipped for sale in own):
        return SKIPPED
    if any(sale.difference for sale in own):
        return UNCLEAR
    if any(sale.received(terms.count_off_stripe) for sale in own):
        return NO_RULE
    return UNPAID


def _sale_entries(sale, terms, first_day, count):
    """Return the entries of one sale: after each cause, what changed on each line."""
    rules = {
        line.ref: rule
        for line in sale.lines
        if (rule := _rule_for(line, sale, terms, first_day, count)[0])
    }
    step = terms.step(sale.currency)
    payments = sale.received(terms.count_off_stripe)
    corrected = _corrected(payments)
    earning = [line for line in sale.lines if line.ref in rules]
    laid = _lay_fixed(earning, rules, step)
    entries, before = [], {line.ref: (0, 0) for line in earning}
    for cause, shares in _received_shares(sale, payments):
        after = _state(earning, rules, laid, shares, step)
        own = cause.kind == EARNED
        origin = cause if own else corrected[getattr(cause, "bucket", None)]
        for line in earning:
            amount, base = (
                new - old
                for new, old in zip(after[line.ref], before[line.ref], strict=True)
            )
            if amount:
                rule = rules[line.ref]
                entries.append(
                    Entry(
                        line=line.ref,
                        cause=cause.cause,
                        kind=cause.kind,
                        at=cause.at,
                        earned_at=origin.at,
                        origin=origin.cause,
                        amount=amount,
                        base=base,
                        rule=rule.id,
                        rate_type=rule.rate_type,
                        rate=rule.rate,
                        sale=sale,
                        laid=laid.get(line.ref),
                    )
                )
        before = after
    return entries


def _lay_fixed(lines, rules, step):
    """Return ``{line: Laid}``: where the fixed amounts of a sale lie.

    Each counts once a sale, however many lines its rule decides, and lies on those
    above nought in proportion to what they are worth. What lines below nought take
    off was not paid: it makes the limit smaller.
    """
    decided = {}
    for line in lines:
        rule = rules[line.ref]
        if rule.rate_type != "percent":
            decided.setdefault(rule.id, []).append(line)
    laid = {}
    for decided_lines in decided.values():
        rule = rules[decided_lines[0].ref]
        carrying = [line for line in decided_lines if line.net > 0]
        units = sum(line.quantity for line in carrying) if rule.per_unit else None
        whole = rule.amount * (1 if units is None else units)
        limit = max(0, sum(line.net for line in decided_lines))
        capped = not rule.over_base and whole > limit
        whole = round_half_up(limit if capped else whole, step)
        worth = sum(line.net for line in carrying)
        parts = _apportion(
            {line.ref: Fraction(line.net * whole) / worth for line in carrying}, step
        )
        laid |= {
            ref: Laid(part, whole, rule.amount, units, capped)
            for ref, part in parts.items()
        }
    return laid


def _apportion(shares, step):
    """Return ``{key: share}`` rounded so that they sum to their sum, rounded once:
    what is left over goes to the largest remainders."""
    left = round_half_up(sum(shares.values()), step)
    rounded, remainders = {}, []
    for key, share in shares.items():
        rounded[key] = share // step * step
        left -= rounded[key]
        remainders.append((rounded[key] - share, key))
    for _remainder, key in sorted(remainders)[: left // step]:
        rounded[key] += step
    return rounded


def _corrected(payments):
    """Return ``{bucket: payment}``: which payment a correction is about, whose hold it
    has. A credit note, which names none, is about the first."""
    corrected = {}
    for payment in sorted(payments, key=lambda payment: payment.at):
        corrected.setdefault(payment.bucket, payment)
        corrected.setdefault(None, payment)
    return corrected


def _received_shares(sale, payments):
    """Yield (cause, {line: share of it received and kept}) in time order."""
    causes = [*payments, *sale.reversals, *sale.credit_notes]
    received = _Received(sale, payments)
    for cause in sorted(
        causes, key=lambda cause: (cause.at, _RANK[cause.kind], cause.cause)
    ):
        if received.add(cause):
            yield cause, received.shares()


class _Received:
    """The money of one sale as it comes and goes, and on which lines it lies.

    Payments lie on all lines in proportion, and on what was owed before; what goes
    back leaves all of them in proportion, except by a credit note: that takes from the
    lines it names.
    """

    def __init__(self, sale, payments):
        self.sale = sale
        self.paid = dict.fromkeys((payment.bucket for payment in payments), 0)
        # Where the programme counts no cash, what goes back in cash is that cash first.
        self.uncounted = sum(p.amount for p in sale.payments if p not in payments)
        self.returned = {}  # share of each bucket; a refund and a dispute count once
        self.noted = {}  # money given back by credit notes until now
        self.noted_ever = {}  # … and in the end: no reversal is about that part
        for note in sale.credit_notes:
            self._note(note, self.noted_ever)
        # Of what was paid too much nothing is earned, and it goes back first.
        self.limit = Fraction(max(0, sale.due - sale.from_balance))
        self.kept = Fraction(0)
        self.own = Fraction(0)  # of it for this sale, the rest was owed before
        self.lying = {line.ref: Fraction(0) for line in sale.lines}  # net

    def add(self, cause):
        """Take a cause into account; tell whether it concerns this sale."""
        before, own = self.kept, self.own
        if cause.kind == EARNED:
            self.paid[cause.bucket] += cause.amount
        elif cause.kind == CREDIT_NOTE:
            self._note(cause, self.noted)
            self.limit -= sum(amount for _bucket, amount in cause.back)
        elif cause.bucket in self.paid:
            share = self.returned.get(cause.bucket, 0) + cause.share
            self.returned[cause.bucket] = min(Fraction(1), share)
        else:
            return False
        # A Fraction whatever it was: a division of integers would be a float.
        self.kept = Fraction(max(0, min(self._kept(), self.limit)))
        if cause.kind == EARNED:
            part = (self.kept - before) / self.sale.due
            self.own += self.sale.total * part
            for line in self.sale.lines:
                self.lying[line.ref] += line.net * part
        elif cause.kind == CREDIT_NOTE and self.kept < before:
            # A note is about the sale, not about what was owed before.
            self.own = max(Fraction(0), own - (before - self.kept))
            self._take_from_lines(cause, own - self.own)
        elif before:
            self.own *= self.kept / before
            self._scale(self.kept / before)
        return True

    def shares(self):
        """Return the share of each line that is received and kept."""
        return {
            line.ref: self.lying[line.ref] / line.net if line.net else Fraction(0)
            for line in self.sale.lines
        }

    def _note(self, note, noted):
        for bucket, amount in note.back:
            bucket = bucket if bucket in self.paid else None
            noted[bucket] = noted.get(bucket, 0) + amount

    def _kept(self):
        money = -max(0, self.noted.get(None, 0) - self.uncounted)
        for bucket, paid in self.paid.items():
            about = max(0, paid - self.noted_ever.get(bucket, 0))
            gone = about * self.returned.get(bucket, 0) + self.noted.get(bucket, 0)
            money += max(0, paid - gone)
        return money

    def _take_from_lines(self, note, money):
        """Let ``money`` leave the lines that ``note`` names.

        What a line has no more of, and what names no line, leaves all in proportion.
        """
        part, rest = money / note.amount, 0
        for ref, net in note.lines.items():
            have = self.lying.get(ref, 0)
            take = net * part
            take = min(take, max(have, 0)) if take > 0 else max(take, min(have, 0))
            if take:
                self.lying[ref] = have - take
            rest += net * part - take
        unnamed = note.unnamed * part
        self._scale(self.own / (self.own + unnamed) if self.own else 0)
        lying = sum(self.lying.values())
        if rest > 0 and lying > 0:
            self._scale(max(Fraction(0), 1 - rest / lying))

    def _scale(self, factor):
        for ref in self.lying:
            self.lying[ref] *= factor


def _state(lines, rules, laid, shares, step):
    """Return {line: (commission, base)} at the received shares of the lines.

    Lines count with their sign; a sale whose commission sums below zero has none.
    """
    fixed = _fixed_amounts(rules, laid, shares, step) if laid else {}
    state = {}
    for line in lines:
        base, rule = line.net * shares[line.ref], rules[line.ref]
        if rule.rate_type == "percent":
            amount = round_half_up(base * rule.rate, step)
        else:
            amount = fixed.get(line.ref, 0)
        state[line.ref] = (amount, round_half_up(base))
    if sum(amount for amount, _base in state.values()) < 0:
        return {line.ref: (0, 0) for line in lines}
    return state


def _fixed_amounts(rules, laid, shares, step):
    """Return ``{line: amount}`` of what is received of the fixed amounts."""
    received = {}
    for ref, lies in laid.items():
        received.setdefault(rules[ref].id, {})[ref] = lies.part * shares[ref]
    amounts = {}
    for parts in received.values():
        amounts |= _apportion(parts, step)
    return amounts


def corrections(desired, booked):
    """Return ``[(key, amount, base)]`` that turn the booked ledger into the desired.

    :param dict desired: ``{key: (amount, base)}``; a key is (line, affiliate, level,
        cause)
    :param dict booked: the same, summed over the revisions already in the ledger
    """
    result = []
    for key in sorted({*desired, *booked}):
        want, have = desired.get(key, (0, 0)), booked.get(key, (0, 0))
        if want[0] != have[0]:
            result.append((key, want[0] - have[0], want[1] - have[1]))
    return result
