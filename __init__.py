from . import tools  # isort: skip  # the models inherit from it
from . import controllers, models, wizards
from .hooks import uninstall_hook
