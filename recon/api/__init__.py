"""The HTTP APIs: `blnk`, a drop-in for Blnk Core's reconciliation routes, and `v1`, our own and wider one."""
