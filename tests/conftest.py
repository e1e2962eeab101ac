"""Hypothesis draws the same examples in every run; ``--hypothesis-profile=explore`` draws fresh ones."""

import os

from hypothesis import HealthCheck, settings

# the suite leaves nothing behind and depends on nothing that was there
os.environ["OPTIM_VERIFY_DATABASE"] = "none"

# One example is a whole program, slow to draw by design; some rules constrain their hyperparameters.
EXPECTED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
COMMON = dict(deadline=None, database=None, suppress_health_check=EXPECTED)

settings.register_profile("tests", derandomize=True, **COMMON)
settings.register_profile("explore", derandomize=False, print_blob=True, **COMMON)
settings.load_profile("tests")
