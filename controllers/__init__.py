from . import capture
from . import portal
from . import sdk
from . import stripe_webhook
from . import tracking
from . import website
