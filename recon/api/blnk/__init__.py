"""Blnk Core's reconciliation routes: paths, bodies, status codes and error codes as its clients know them."""
