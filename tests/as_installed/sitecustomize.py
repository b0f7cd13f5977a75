"""Let a process have what the product's users have: neither pandas nor polars, which only benchmarks ask for.

pyarrow and ADBC import them wherever they are, which takes as long as the product's own start.
"""

import sys
from importlib.abc import MetaPathFinder


class NotInstalled(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in {"pandas", "polars"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotInstalled())
