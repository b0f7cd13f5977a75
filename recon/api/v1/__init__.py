"""Our own API: everything a page can do. One module per concept; `operations.py` is the grammar they share."""
