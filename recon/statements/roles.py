"""Which column is what: by the words of its header where it has one, always checked against its contents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, permutations, takewhile
from typing import Final

from recon.statements.mapping import AMOUNT_ROLES, ROLES, Role
from recon.statements.proof import PROVEN, agreement
from recon.statements.traits import Traits
from recon.statements.words import FOREIGN_WORDS, fit, plain

_TEXT_ROLES: Final = (
    "description", "reference", "counterparty", "type_code", "status", "account", "external_id", "time_zone",
)  # fmt: skip
_MOSTLY: Final = 0.9
_EXACT: Final = 60
"""A fit from here on is by the whole header, below by a part of it."""

_SIDES: Final[tuple[Role, Role]] = ("debit", "credit")
_LESS: Final = 40
"""By how much a purchase's amount abroad fits less: it is the amount of a line only where there is no other."""

_ACCOUNTS: Final = frozenset(
    {"kt", "kto", "konto", "account", "acct", "compte", "cpt", "conto", "cuenta", "cta", "conta", "rekening"}
)
"""Words of headers of columns in which accounts stand: debit account."""

_NO_NAMES: Final = frozenset({"bic", "iban", "swift", "blz"})
_LEDGER_ROLES: Final = ("source", "destination", "parent_transaction")


def roles_of(columns: Sequence[Traits], *, headed: bool, ledger: bool = False) -> dict[Role, tuple[str, ...]]:
    """The role of every column that has one. Without a header, contents alone decide dates, amounts and texts."""
    roles = _by_header(columns, ledger=ledger) if headed else {}
    free = [each for each in columns if all(each.name not in names for names in roles.values())]
    roles = _with_amounts(roles, columns, free)
    free = [each for each in columns if all(each.name not in names for names in roles.values())]
    if "booking_date" not in roles:
        roles |= _dates_by_content(free)
    if "sign" not in roles and (direction := _direction(free)):
        roles["sign"] = (direction,)
    abroad = _foreign_currencies(roles, columns)
    if roles.get("currency", ("",))[0] in abroad:
        del roles["currency"]
    if "currency" not in roles and (
        code := _first(
            free, lambda each: each.known_currencies > 0.95 and each.distinct < 12 and each.name not in abroad
        )
    ):
        roles["currency"] = (code,)
    if "status" not in roles and (state := _first(free, lambda each: each.states > 0.95 and each.distinct <= 6)):
        roles["status"] = (state,)
    if not headed:
        return roles | _texts_by_content([each for each in columns if (each.name,) not in roles.values()])
    return _joined(_described(_of_one_currency(roles, columns), columns), columns)


def _by_header(columns: Sequence[Traits], *, ledger: bool) -> dict[Role, tuple[str, ...]]:
    """Best fit first; a column takes one role (a direction may share its column with a type), a role one column."""
    roles: dict[Role, tuple[str, ...]] = {}
    taken: set[str] = set()
    some = any(each.filled for each in columns)
    offers = [
        (
            score + _content_bonus(role, each) - _LESS * (role in AMOUNT_ROLES and is_foreign(each.name)),
            -place,
            role,
            each,
        )
        for place, each in enumerate(columns)
        for role in _roles_for(each, ledger=ledger)
        if (score := fit(role, each.name)) >= (_EXACT if role == "account" or (each.empty and some) else 1)
        and not _names_both_directions(role, each.name)
        and not (role in {"gross", "net"} and score < _EXACT and (fit("debit", each.name) or fit("credit", each.name)))
        and not (role in {"currency", "debit", "credit"} and score < _EXACT and is_foreign(each.name))
        and not (role in _SIDES and score < _EXACT and _ACCOUNTS & set(plain(each.name).split()))
        and not (role == "counterparty" and score < _EXACT and _NO_NAMES & set(plain(each.name).split()))
        and not (role == "counterparty" and score < _EXACT <= fit("account", each.name))
        and not (role == "external_id" and score < _EXACT and "partner" in plain(each.name).split())
    ]
    for _score, _place, role, each in sorted(offers, key=lambda offer: offer[:2], reverse=True):
        if role in roles or (each.name in taken and role != "sign"):
            continue
        roles[role] = (each.name,)
        if role != "sign":
            taken.add(each.name)
    return _paired(roles, columns)


def _paired(roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """Money out and in from two columns of one pair: billed out and billed in, not billed out and paid in."""
    if not {"debit", "credit"} <= roles.keys() or min(fit(role, roles[role][0]) for role in _SIDES) >= _EXACT:
        return roles
    taken = {names for role, names in roles.items() if role not in {*_SIDES, "amount"}}
    free = [each.name for each in columns if (each.name,) not in taken and (each.empty or each.amounts >= _MOSTLY)]
    pairs = [
        (out, into)
        for out in free
        for into in free
        if out != into and fit("debit", out) > fit("credit", out) and fit("credit", into) > fit("debit", into)
    ]
    best = max(pairs, key=lambda pair: len(set(plain(pair[0]).split()) & set(plain(pair[1]).split())), default=None)
    if best is None:
        return roles
    rest = {role: names for role, names in roles.items() if role != "amount" or names[0] not in best}
    return {**rest, "debit": best[:1], "credit": best[1:]}


def is_foreign(name: str) -> bool:
    """Whether a header says that its amounts or currencies are those of a purchase abroad."""
    words = plain(name)
    return any(f" {word} " in f" {words} " if word.isascii() else word in words for word in FOREIGN_WORDS)


def _foreign_currencies(roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits]) -> set[str]:
    """Columns of currencies that are of what was paid abroad and not of the account's own amounts.

    Either the header says so, or a column of several currencies stands beside such an amount and not beside another.
    """
    foreign = [is_foreign(each.name) for each in columns]
    amounts = {name for role in AMOUNT_ROLES for name in roles.get(role, ())}
    own = [each.name in amounts and not there for each, there in zip(columns, foreign, strict=True)]
    found = {each.name for each, there in zip(columns, foreign, strict=True) if there}
    for place, each in enumerate(columns):
        beside = [near for near in (place - 1, place + 1) if 0 <= near < len(columns)]
        abroad = any(foreign[near] and columns[near].amounts >= _MOSTLY for near in beside)
        some = each.distinct > 1 or 0 < each.filled < 1
        if some and abroad and not any(own[near] for near in beside):
            found.add(each.name)
    return found


def _of_one_currency(roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """Amounts and the currencies that are theirs, by the words of their headers, where two columns have currencies.

    Of ``Transaction amount, Transaction currency, Account amount, Account currency`` it is a pair that is read.
    """
    amount, currency = (roles.get(role, ("",))[0] for role in ("amount", "currency"))
    codes = [each.name for each in columns if each.known_currencies > 0.95]
    if not amount or len(codes) < 2 or len(plain(currency)) < _QUALIFIED or kinship(amount, currency):
        return roles
    taken = {name for role, names in roles.items() if role != "amount" for name in names}
    numbers = [each.name for each in columns if each.amounts >= _MOSTLY and fit("amount", each.name)]
    own = max(
        (each for each in numbers if each not in taken), key=lambda each: kinship(each, currency), default=amount
    )
    if kinship(own, currency):
        return {**roles, "amount": (own,)}
    other = max(codes, key=lambda each: kinship(amount, each))
    return {**roles, "currency": (other,)} if kinship(amount, other) else roles


_QUALIFIED: Final = 10
"""As long a header of currencies says whose they are; a shorter one is just the word."""


def kinship(one: str, other: str) -> int:
    """How many letters two headers share at the beginnings of words; five are the fewest that count."""
    pairs = (zip(first, second, strict=False) for first in plain(one).split() for second in plain(other).split())
    shared = (len([*takewhile(lambda both: both[0] == both[1], pair)]) for pair in pairs)
    return sum(length for length in shared if length >= 5)


def _names_both_directions(role: Role, name: str) -> bool:
    """``Credit/Debit Amount`` is one signed column, neither money out nor money in."""
    return role in {"debit", "credit"} and 0 < fit("debit", name) < _EXACT and 0 < fit("credit", name) < _EXACT


def _says_direction(name: str) -> bool:
    """Whether a header means a direction rather than a type of something else such as ``Account type``."""
    score, kind = fit("sign", name), fit("type_code", name)
    others = max(fit(role, name) for role in ROLES if role not in {"sign", "type_code"})
    return score >= _EXACT or (score > others and (kind >= _EXACT or score > kind))


def _means_only_direction(name: str) -> bool:
    """``DR/CR``: what stands there and is no direction is to be reported, not the whole column to be left alone."""
    return fit("sign", name) >= _EXACT and not fit("type_code", name)


def _content_bonus(role: Role, each: Traits) -> float:
    """A filled column is likelier meant than an empty one of the same name, or than one of nothing but zeros."""
    if role not in AMOUNT_ROLES or role in {"debit", "credit"}:
        return 12 * each.filled
    filled = sum(each.nonzero) / max(len(each.nonzero), 1) if role == "amount" else each.filled
    return 12 * filled + 6 * each.decimals


def _roles_for(each: Traits, *, ledger: bool) -> Iterable[Role]:
    """The roles that a column's contents allow; an empty column may be anything its header says.

    A column of plain name keeps its role even if most of its cells are wrong: then the cells are to be reported.
    """
    meant = {"date": "dates", "amount": "amounts", "currency": "currencies"}.get(plain(each.name))
    if each.empty or meant == "dates" or each.dates >= 0.5:
        yield from ("booking_date", "value_date")
    if each.empty or meant == "amounts" or each.amounts >= 0.6:
        yield from AMOUNT_ROLES
    if each.empty or meant == "currencies" or each.currencies >= 0.8:
        yield "currency"
    if each.empty or each.times >= 0.8:
        yield "time"
    if each.directions >= (0.5 if _means_only_direction(each.name) else 0.8) and _says_direction(each.name):
        yield "sign"
    if each.empty or (not meant and max(each.dates, each.decimals * each.amounts) < 0.8):
        yield from _TEXT_ROLES[1:] if each.known_currencies >= 0.8 else _TEXT_ROLES
    if ledger or plain(each.name) in {"source", "destination", "parent transaction"}:
        yield from _LEDGER_ROLES


def _with_amounts(
    roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits], free: Sequence[Traits]
) -> dict[Role, tuple[str, ...]]:
    """One way to read amounts: a signed column, or money out and in apart; by contents if no header tells."""
    by_name = {each.name: each for each in columns}
    single = [by_name[roles[role][0]] for role in ("amount", "gross", "net") if role in roles]
    apart = [by_name[roles[role][0]] for role in ("debit", "credit") if role in roles]
    if len(apart) == 2 and (not single or max(each.filled for each in single) + 0.05 < _together(apart)):
        return {role: names for role, names in roles.items() if role != "amount"}
    if len(single) == 1 == len(apart) and "amount" in roles and _complement(*single, *apart):
        other: Role = "credit" if "debit" in roles else "debit"
        return {**{role: names for role, names in roles.items() if role != "amount"}, other: roles["amount"]}
    # A type of something else may be taken for a direction.
    says = "sign" in roles and roles["sign"] != roles.get("type_code")
    if len(apart) == 2 and not says and _unsigned(single) and _complement(*apart):
        return {role: names for role, names in roles.items() if role not in {"amount", "sign"}}
    if {"gross", "fee", "net"} <= roles.keys() and "amount" in roles and fit("amount", roles["amount"][0]) < _EXACT:
        roles = {role: names for role, names in roles.items() if role != "amount"}  # of a processor: what else is it?
    if single:
        return {role: names for role, names in roles.items() if role not in {"debit", "credit"}}
    if apart:
        return roles
    return roles | _amounts_by_content(free)


def _unsigned(columns: Sequence[Traits]) -> bool:
    return not any(value is not None and value < 0 for each in columns for value in each.values)


def _together(apart: Sequence[Traits]) -> float:
    rows = [any(row) for row in zip(*(each.nonzero for each in apart), strict=True)]
    return sum(rows) / max(len(rows), 1)


def _amounts_by_content(free: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """Columns of decimals: two that are never both filled are out and in; else the first is the amount."""
    numbers = [each for each in free if each.amounts >= 0.9 and each.decimals >= 0.5]
    numbers = numbers or [each for each in free if each.amounts >= 0.9 and each.dates < 0.5 and each.filled > 0.9]
    for first, second in pairwise(numbers):
        if _complement(first, second):
            return {"debit": (first.name,), "credit": (second.name,), **_balance(numbers, {first.name, second.name})}
    if proven := _proven_by_balance(free):
        return proven
    full = [each for each in numbers if each.filled > 0.8] or numbers
    if not full:
        return {}
    whole = [each for each in free if each.amounts >= _MOSTLY and each.dates < 0.5 and each.filled > 0.8]
    signed = [each for each in whole if any(value is not None and value < 0 for value in each.values)]
    best = ([each for each in signed if each in full] or signed or full)[0]
    return {"amount": (best.name,), **_balance(full, {best.name})}


def _proven_by_balance(free: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """The two columns of which one is the running balance of the other, if there are such."""
    numbers = [each for each in free if each.amounts >= 0.9 and each.dates < 0.5 and each.filled > 0.5]
    telling = [each for each in numbers if len(set(each.values)) > 1]  # rows that are counted add up as well
    for before in (False, True):
        for amount, balance in permutations([each for each in telling if each.decimals >= 0.5] or telling, 2):
            if agreement(amount.values, balance.values, before=before) >= PROVEN:
                return {"amount": (amount.name,), **({} if before else {"balance": (balance.name,)})}
    return {}


def _complement(first: Traits, second: Traits) -> bool:
    rows = [one + other for one, other in zip(first.nonzero, second.nonzero, strict=True)]
    return bool(rows) and rows.count(1) >= 0.9 * len(rows) and any(first.nonzero) and any(second.nonzero)


def _balance(numbers: Sequence[Traits], taken: set[str]) -> dict[Role, tuple[str, ...]]:
    rest = [each for each in numbers if each.name not in taken and each.filled > 0.8]
    return {"balance": (rest[-1].name,)} if rest else {}


def _dates_by_content(free: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    dates = [each.name for each in free if each.dates >= 0.8 and each.filled >= 0.5]
    if not dates:
        return {}
    return {"booking_date": (dates[0],), **({"value_date": (dates[1],)} if len(dates) > 1 else {})}


_KINDS_OF_RECORD: Final = frozenset({"object", "resource", "entity"})
"""Keys by which APIs say what a record is: a charge or a payment, whichever way money goes."""


def _direction(free: Sequence[Traits]) -> str | None:
    """A column of nothing but marks whose header means nothing else: a reference may be called ``C`` as well."""
    return _first(
        free,
        lambda each: (
            each.directions == 1
            and each.filled >= 0.9
            and each.distinct <= 6
            and plain(each.name) not in _KINDS_OF_RECORD
            and not any(fit(role, each.name) for role in ROLES if role != "sign")
        ),
    )


def _texts_by_content(free: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """The text that differs most from row to row is the description."""
    texts = [each for each in free if max(each.dates, each.amounts, each.currencies, each.directions) < 0.8]
    best = max(texts, key=lambda each: each.distinct * each.filled, default=None)
    return {"description": (best.name,)} if best and best.filled else {}


def _described(roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """Without another text, the column that was taken for a type is the description if its header may name one."""
    kind, text = (roles.get(role, ("",))[0] for role in ("type_code", "description"))
    filled = {each.name: each.filled for each in columns}
    told = filled.get(text, 0) > 0 and 2 * filled[text] >= filled.get(kind, 0)
    if told or (text and not filled.get(kind)) or not kind or not fit("description", kind):
        return roles
    return {**{role: names for role, names in roles.items() if role != "type_code"}, "description": (kind,)}


def _joined(roles: dict[Role, tuple[str, ...]], columns: Sequence[Traits]) -> dict[Role, tuple[str, ...]]:
    """A description spread over numbered columns (VWZ1, VWZ2 …) is taken whole."""
    first = roles.get("description", ("",))[0]
    stem = plain(first).rstrip("0123456789 ")
    taken = {name for role, names in roles.items() if role != "description" for name in names}
    parts = tuple(
        each.name
        for each in columns
        if stem and plain(each.name).rstrip("0123456789 ") == stem and each.name not in taken and not each.empty
    )
    return {**roles, "description": parts} if len(parts) > 1 else roles


def _first(columns: Sequence[Traits], holds: Callable[[Traits], bool]) -> str | None:
    return next((each.name for each in columns if holds(each)), None)
