"""Which of the taken pairs stand, and as what: confirmed, or only suggested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recon.engine.contest import AMBIGUOUS, BEST, LIMIT, NOBODY, SUGGEST_ONLY, Codes, Contest, Taken
from recon.engine.options import MatchedTwice, Options
from recon.engine.pairs import Flags, Ints, Rows
from rules.criteria import Rule
from rules.criteria.scope import units_down


@dataclass(frozen=True)
class Standing:
    """Matches of units, one place each in all columns. ``decided_by`` counts in `contest.DECIDED_BY`; rivals are those
    of `contest.Taken`."""

    rule: Rows
    line: Rows
    entry: Rows
    gap: Ints
    confirmed: Flags
    decided_by: Codes
    rival: tuple[Rows, Rows]
    rival_gap: tuple[Ints, Ints]
    line_first: Flags

    def only(self, which: Flags | Ints) -> Standing:
        return Standing(
            self.rule[which], self.line[which], self.entry[which], self.gap[which], self.confirmed[which],
            self.decided_by[which], (self.rival[0][which], self.rival[1][which]),
            (self.rival_gap[0][which], self.rival_gap[1][which]), self.line_first[which],
        )  # fmt: skip


def judged(index: int, rule: Rule, taken: Taken, limit: int | None) -> Standing:
    """What a rule makes of the pairs it took; what it skips is left out.

    ``limit``: the amount difference in units above which a match is only suggested.
    """
    decided = taken.how != AMBIGUOUS
    over = taken.pairs.gap > limit if limit is not None else np.zeros(len(decided), np.bool_)
    best = rule.on_ambiguity == "best"
    clear = (decided | best) & ~over
    by = np.where(decided, taken.how, BEST if best else AMBIGUOUS)
    by = np.where(over & (decided | best), LIMIT, by).astype(np.int8)
    confirmed = clear
    if rule.suggest_only:
        by[clear], confirmed = SUGGEST_ONLY, np.zeros_like(clear)
    made = Standing(
        np.full(len(decided), index, np.int32), taken.pairs.line, taken.pairs.entry, taken.pairs.gap, confirmed, by,
        taken.rival, taken.rival_gap, taken.line_first,
    )  # fmt: skip
    return made.only(decided) if rule.on_ambiguity == "skip" else made


def limit_of(rule: Rule, options: Options, scale: int) -> int | None:
    """The amount difference in units above which a match is only suggested."""
    given = [rule.max_difference, options.tolerance_limit]
    return min((units_down(limit, scale) for limit in given if limit is not None), default=None)


def standing(made: Sequence[Standing], rows: tuple[int, int]) -> Standing:
    """Of the matches of all rules those that stand, in the order of their lines.

    A suggestion claims nothing: what any rule confirms withdraws it, and an earlier suggestion stands before a later.
    """
    if len(made) == 1:
        return made[0]  # one rule takes every row once, in the order of the lines
    used = tuple(np.zeros(count, np.bool_) for count in rows)
    kept = [each.only(each.confirmed) for each in made]
    for each in kept:
        used[0][each.line] = used[1][each.entry] = True
    for each in made:
        stands = each.only(~each.confirmed & ~used[0][each.line] & ~used[1][each.entry])
        used[0][stands.line] = used[1][stands.entry] = True
        kept.append(stands)
    whole = joined(kept)
    if len(kept) == 1 or np.all(whole.line[1:] > whole.line[:-1]):
        return whole
    return whole.only(np.argsort(whole.line, kind="stable"))


def each_once(kept: Standing) -> Standing:
    """The same matches. Raises MatchedTwice if one unit is in two of them: a run must end rather than say so."""
    for units in (kept.line, kept.entry):
        if len(units) and np.bincount(units).max() > 1:
            raise MatchedTwice
    return kept


def joined(parts: Sequence[Standing]) -> Standing:
    """All places of the parts, one after the other."""
    return Standing(
        rule=np.concatenate([np.zeros(0, np.int32), *(each.rule for each in parts)]),
        line=np.concatenate([np.zeros(0, np.int32), *(each.line for each in parts)]),
        entry=np.concatenate([np.zeros(0, np.int32), *(each.entry for each in parts)]),
        gap=np.concatenate([np.zeros(0, np.int64), *(each.gap for each in parts)]),
        confirmed=np.concatenate([np.zeros(0, np.bool_), *(each.confirmed for each in parts)]),
        decided_by=np.concatenate([np.zeros(0, np.int8), *(each.decided_by for each in parts)]),
        rival=(
            np.concatenate([np.zeros(0, np.int32), *(each.rival[0] for each in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(each.rival[1] for each in parts)]),
        ),
        rival_gap=(
            np.concatenate([np.zeros(0, np.int64), *(each.rival_gap[0] for each in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(each.rival_gap[1] for each in parts)]),
        ),
        line_first=np.concatenate([np.zeros(0, np.bool_), *(each.line_first for each in parts)]),
    )


@dataclass(frozen=True)
class Met:
    """What a rule found by side: ``gone``, the units that earlier rules had confirmed; ``took``, those that it took
    itself, even to skip them; ``row``, those that it did not confirm although they had candidates, and ``who``, the
    first candidate of each."""

    gone: tuple[Flags, Flags]
    took: tuple[Rows, Rows]
    row: tuple[Rows, Rows]
    who: tuple[Rows, Rows]

    def could_have(self, side: int, free: Flags) -> Rows:
        """Units of the other side, among them the best that each free unit of a side could have had."""
        others = self.gone[1 - side].copy()
        others[self.who[side][free[self.row[side]]]] = True
        return np.flatnonzero(others).astype(np.int32)


def met(contest: Contest, taken: Taken, verdict: Standing, gone: tuple[Flags, Flags]) -> Met:
    """What is worth remembering of a contest to tell why rows are left."""
    rows, who = [], []
    for side, units in enumerate((verdict.line, verdict.entry)):
        best = contest.best(side)
        left = best != NOBODY
        left[units[verdict.confirmed]] = False
        rows.append(np.flatnonzero(left).astype(np.int32))
        who.append(best[left])
    return Met(gone, (taken.pairs.line, taken.pairs.entry), (rows[0], rows[1]), (who[0], who[1]))


def claimed(made: Sequence[Standing], rows: tuple[int, int]) -> tuple[Flags, Flags]:
    """The units of either side that some rule has confirmed."""
    flags = (np.zeros(rows[0], np.bool_), np.zeros(rows[1], np.bool_))
    for each in made:
        flags[0][each.line[each.confirmed]] = flags[1][each.entry[each.confirmed]] = True
    return flags
