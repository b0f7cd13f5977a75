"""Accounts: what of the ledger is theirs, what their runs start from, closed periods."""
