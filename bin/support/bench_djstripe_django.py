"""The Django project in which `bin/bench sync --djstripe` runs dj-stripe: its settings
and, when it is run as a program, what is prepared in it.

Its Python environment has nothing of Odoo and nothing of ours. DJSTRIPE_BENCH is a JSON
object: `database`, `stripe` (the address of the double) and `site` (its own address).
PostgreSQL is where PGHOST says. What is not set here is left at its default.
"""

import json
import os
import uuid
from pathlib import Path

BENCH = json.loads(os.environ["DJSTRIPE_BENCH"])

# --- settings -----------------------------------------------------------------------

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": BENCH["database"],
        "CONN_MAX_AGE": None,  # Django would connect anew for each request
    }
}
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "djstripe"]
# Every project has it, and clients that keep no connection want its Content-Length.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "djstripe.urls"
SECRET_KEY = "of a site that signs nothing"
STRIPE_API_HOST = BENCH["stripe"]
STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = "sk_test_" + 24 * "0"
USE_TZ = True


# --- what is prepared ---------------------------------------------------------------


def prepare():
    """Tables, a webhook endpoint as dj-stripe's own form makes it, and the objects that
    invoices refer to: these are there, too, when events are sent to us."""
    import stripe
    from django.core.management import call_command
    from djstripe import models
    from djstripe.settings import djstripe_settings

    call_command("migrate")
    key = str(uuid.uuid4())
    endpoint = models.WebhookEndpoint._api_create(
        url=f"{BENCH['site']}/webhook/{key}/",
        api_version=djstripe_settings.STRIPE_API_VERSION,
        enabled_events=["invoice.paid"],
        metadata={"djstripe_uuid": key},
    )
    models.WebhookEndpoint.sync_from_stripe_data(endpoint)
    # The double has no product features and answers 501. dj-stripe passes over that,
    # after repetitions that would take a second each.
    stripe.max_network_retries = 0
    for model in (models.Product, models.Price, models.Customer, models.Subscription):
        for data in model.api_list():
            model.sync_from_stripe_data(data)


if __name__ == "__main__":
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = Path(__file__).stem
    django.setup()
    prepare()
