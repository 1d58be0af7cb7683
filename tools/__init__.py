"""What knows Odoo and no business. Imported before the models, which use it."""

from . import protected
