"""The days of a business: those of its Stripe account's time zone.

Stripe's dashboard counts days and months in the time zone of the account. When that is
changed, what happened before stays on the days it was on.

Moments are naive UTC datetimes, as Odoo keeps them.
"""

from datetime import datetime, time

import pytz

NAMES = frozenset(pytz.all_timezones)


def zone_at(moment, zones):
    """Return the name of the time zone at a moment.

    :param zones: ``[(ISO text of the moment since when or None, name)]``, the oldest
        first
    """
    name = "UTC"
    for since, zone in zones or ():
        if since is None or moment >= datetime.fromisoformat(since):
            name = zone
    return name


def day_of(moment, zones):
    """Return the day (date) on which a moment is, see ``zone_at``."""
    zone = pytz.timezone(zone_at(moment, zones))
    return pytz.utc.localize(moment).astimezone(zone).date()


def start_of(day, zones):
    """Return the moment at which a day (date) begins, see ``zone_at``."""
    midnight = datetime.combine(day, time())
    zone = pytz.timezone(zone_at(midnight, zones))
    # Where clocks are set forward at midnight the day begins an hour later. Where they
    # are set back over midnight there are two: it begins at the first of them.
    found = [
        zone.normalize(zone.localize(midnight, is_dst=is_dst))
        for is_dst in (True, False)
    ]
    # A country that crosses the date line leaves a day out: the next begins instead.
    local = min((at for at in found if at.date() == day), default=max(found))
    return local.astimezone(pytz.utc).replace(tzinfo=None)
