"""What knows Odoo and no business. Imported before the models, which inherit from it."""

from . import protected
