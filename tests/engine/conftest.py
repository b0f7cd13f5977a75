"""How hard the random tests try: `TIEOUT_HYPOTHESIS=thorough` for thousands of examples, else enough for every day."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("everyday", deadline=None, max_examples=10, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, max_examples=1600, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("TIEOUT_HYPOTHESIS", "everyday"))
