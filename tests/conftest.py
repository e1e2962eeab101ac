"""Hypothesis draws the same examples in every run; ``--hypothesis-profile=explore`` draws fresh ones."""

from hypothesis import HealthCheck, settings

# One example is a whole program: slow to draw, by design.
COMMON = dict(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

settings.register_profile("tests", derandomize=True, **COMMON)
settings.register_profile("explore", derandomize=False, print_blob=True, **COMMON)
settings.load_profile("tests")
