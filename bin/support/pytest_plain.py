"""pytest for tests that must not import the addon, whose folder is a package."""

import pytest


def pytest_collect_directory(path, parent):
    return pytest.Dir.from_parent(parent, path=path)
