"""Makes Odoo's own checks of code (`test_lint`) look at this addon only.

They are tests that walk through all addons on the addons path; those of Odoo are not
ours to mend, and 600 addons take minutes.
"""

from unittest.mock import patch

import pytest

from odoo.modules import Manifest

from .paths import ADDON


@pytest.fixture(autouse=True)
def only_our_addon():
    ours = [Manifest.for_addon(ADDON)]
    with patch.object(Manifest, "all_addon_manifests", staticmethod(lambda: ours)):
        yield
