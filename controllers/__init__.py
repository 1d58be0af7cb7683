from . import capture
from . import portal
from . import stripe_webhook
from . import tracking
from . import website
