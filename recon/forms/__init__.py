"""What pages ask people for, by what it is about."""
