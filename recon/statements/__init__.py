"""Statement files: bytes in; balances, lines and row errors out. Plain Python."""
