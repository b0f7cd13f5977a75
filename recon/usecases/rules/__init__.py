"""Rules tried on an account's rows, suggested from them, ordered and told of."""
