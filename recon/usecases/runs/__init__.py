"""Matching runs: started, executed, applied, read, reversed."""
