"""Registers what all tests share; it stands in tests/support."""

import os

# Before SciPy is imported: else scikit-learn skips a part of its check of estimators.
os.environ["SCIPY_ARRAY_API"] = "1"

pytest_plugins = ["tests.support.alert_schema", "tests.support.fixtures", "tests.support.strict"]
