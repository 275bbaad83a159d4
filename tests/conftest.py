"""Registers what all tests share; it stands in tests/support."""

import atexit
import os
import shutil
import tempfile

# Before SciPy is imported: else scikit-learn skips a part of its check of estimators.
os.environ["SCIPY_ARRAY_API"] = "1"

# What XLA has compiled is kept for the rest of the run, and for the daemons that tests start: else most of the time
# that one takes to start is spent on the same programs again. The bits are the same.
if "TF_XLA_FLAGS" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="detector-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={compiled}"

pytest_plugins = ["tests.support.alert_schema", "tests.support.fixtures", "tests.support.strict"]
