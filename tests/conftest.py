"""Registers the fixtures that all tests share; they stand in tests/support."""

pytest_plugins = ["tests.support.fixtures"]
