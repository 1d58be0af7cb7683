"""Exact money: Stripe's minor units in, integers and Decimal out.

Every amount that Stripe sends is an integer in minor units. How many minor units
make one major unit is Stripe's decision and differs from ISO 4217 and from Odoo's
``res.currency`` for a few currencies (UGX and ISK have two decimals at Stripe), so
this table, and never ``currency.decimal_places``, is used at the border.
Source: https://docs.stripe.com/currencies.
"""

from decimal import ROUND_HALF_UP, Decimal

ZERO_DECIMAL = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()
)
THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())


def exponent(currency):
    """Return the decimals of ``currency`` (ISO code, any case) at Stripe."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def to_major(minor, currency):
    """Return ``minor`` (int, minor units) as a Decimal in major units."""
    return Decimal(minor).scaleb(-exponent(currency))


def nearest_minor(major, currency):
    """Return ``major`` as int minor units, rounded half up.

    For amounts typed by people or read from a Monetary column, which may carry
    decimals the currency does not have.
    """
    minor = Decimal(str(major)).scaleb(exponent(currency))
    return int(minor.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def round_half_up(value, step=1):
    """Round an exact ``value`` to a multiple of ``step``.

    Halves go away from zero, so a correction is the mirror image of what it corrects.

    :param value: Fraction or int; a float, which is not exact, is an error
    :param int step: coarsest unit of the ledger in minor units; more than 1 where
        Odoo rounds a currency to whole units and Stripe does not (ISK, UGX).
    """
    # Integers only: this is called for every line of every sale.
    whole = value.denominator * step
    units = (2 * abs(value.numerator) + whole) // (2 * whole) * step
    return units if value >= 0 else -units


def ledger_step(currency, odoo_rounding):
    """Return the smallest amount, in minor units, a ledger row may carry.

    :param float odoo_rounding: ``res.currency.rounding``, e.g. 0.01 or 1.0.
    """
    step = Decimal(str(odoo_rounding)).scaleb(exponent(currency))
    return max(1, int(step))
