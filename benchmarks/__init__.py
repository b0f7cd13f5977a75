"""Benchmarks: seeded data with known truth, the engine beside other ways to do the same, and one way to measure."""
