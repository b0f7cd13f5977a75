"""The Django project and the reconciliation app. Importing this package loads no Django."""

import os

# Said before Arrow is loaded, whose allocator reads it once. Millions of rows pass through columns that are made and
# dropped again; with pages of 2 MiB the system clears several times the memory that is used, a tenth of the processor
# time from two files to stored results. Memory that nobody has used for a second, rather than ten milliseconds, goes
# back to the system, which would clear it for the next column: another tenth of the time, for 50 MiB more at the peak.
os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "1000")
