"""The shipped layouts of ``profiles.toml``: declared, recognised by their header, each a partial mapping."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from recon.statements.mapping import Mapping, Role
from recon.statements.words import plain


@dataclass(frozen=True)
class Profile:
    """One layout of one bank or processor; ``header`` are plain words that its files have among their columns."""

    name: str
    title: str
    header: frozenset[str]
    mapping: Mapping


def _profile(plain_data: dict[str, Any]) -> Profile:
    mapping = Mapping.from_dict({**plain_data["mapping"], "profile": plain_data["name"]})
    return Profile(plain_data["name"], plain_data["title"], frozenset(map(plain, plain_data["header"])), mapping)


_TABLES: Final = tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8"))
PROFILES: Final[tuple[Profile, ...]] = tuple(map(_profile, _TABLES["profile"]))


def profile_for(header: Iterable[str], amount_column: str | None = None) -> Mapping | None:
    """The mapping of the layout that a header shows, its columns named as this file names them; None if none fits.

    Of several the one with the longest header wins; among equals the one for the wanted amount, gross by default.
    """
    names = {plain(name): name for name in reversed(list(header))}
    fitting = [each for each in PROFILES if each.header <= names.keys()]
    wanted = amount_column or "gross"
    best = max(
        fitting, key=lambda each: (len(each.header), each.mapping.amount_column in {None, wanted}), default=None
    )
    return _renamed(best.mapping, names) if best else None


def _renamed(mapping: Mapping, names: dict[str, str]) -> Mapping:
    """Columns as the file writes them; those it does not have are dropped."""
    columns: dict[Role, tuple[str, ...]] = {}
    for role, wanted in mapping.columns.items():
        found = tuple(names[plain(name)] for name in wanted if plain(name) in names)
        if found:
            columns[role] = found
    leave_out = {names[plain(name)]: values for name, values in mapping.leave_out.items() if plain(name) in names}
    return replace(mapping, columns=columns, leave_out=leave_out)
