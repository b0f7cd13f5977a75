"""Demo data: a small shop's month with everything that goes wrong in one, and a practice example."""
