"""The API, one module per family. Importing them registers their routes."""

from . import (  # noqa: F401
    catalog,
    checkout,
    credit_notes,
    customers,
    grants,
    invoices,
    links,
    payments,
    payouts,
    platform,
    promotions,
    records,
    refunds,
    schedules,
    setups,
    shipping,
    subscriptions,
)
