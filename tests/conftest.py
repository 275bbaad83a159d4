"""Registers what all tests share; it stands in tests/support."""

pytest_plugins = ["tests.support.fixtures", "tests.support.strict"]
