"""Ledger entries that programs send."""
