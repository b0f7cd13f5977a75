"""Statements and ledger files on their way in, and taken back; what is wrong with them."""
