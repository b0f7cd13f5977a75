"""What codes are called on pages: one word and one icon per state, one phrase per reason."""

from __future__ import annotations

from typing import NamedTuple


class Status(NamedTuple):
    icon: str
    word: str
    tone: str  # neutral | good | busy | warn | bad: the only meanings colour has


STATUSES = {
    # runs
    "queued": Status("hourglass", "Queued", "neutral"),
    "running": Status("loader", "Running", "busy"),
    "completed": Status("circle-check", "Completed", "good"),
    "failed": Status("alert-triangle", "Failed", "bad"),
    "cancelled": Status("ban", "Cancelled", "neutral"),
    "reversed": Status("arrow-back-up", "Reversed", "neutral"),
    "dry_run": Status("flask", "Dry run", "busy"),
    # matches
    "matched": Status("circle-check", "Matched", "good"),
    "suggested": Status("bulb", "Suggested", "warn"),
    "confirmed": Status("circle-check", "Confirmed", "good"),
    "rejected": Status("circle-x", "Rejected", "neutral"),
    "undone": Status("arrow-back-up", "Undone", "neutral"),
    "withdrawn": Status("circle-minus", "Withdrawn", "neutral"),
    "proposed": Status("flask", "Would match", "busy"),
    "unmatched": Status("circle-dashed", "Unmatched", "bad"),
    # open items
    "open": Status("circle-dashed", "Open", "bad"),
    "in_review": Status("eye", "In review", "busy"),
    "on_hold": Status("player-pause", "On hold", "warn"),
    "accepted": Status("shield-check", "Accepted", "neutral"),
    "resolved": Status("circle-check", "Resolved", "good"),
    # statements and ledger imports
    "loading": Status("loader", "Loading", "busy"),
    "ready": Status("circle-check", "Imported", "good"),
    "superseded": Status("versions", "Superseded", "neutral"),
    "discarded": Status("trash-x", "Taken back", "neutral"),
    # rules
    "enabled": Status("circle-check", "Enabled", "good"),
    "disabled": Status("player-pause", "Disabled", "neutral"),
    "archived": Status("archive", "Archived", "neutral"),
    # API keys
    "active": Status("circle-check", "Active", "good"),
    "expired": Status("clock", "Expired", "neutral"),
    "revoked": Status("ban", "Revoked", "neutral"),
    # webhooks
    "pending": Status("hourglass", "Waiting", "busy"),
    "delivered": Status("circle-check", "Delivered", "good"),
    "given_up": Status("alert-triangle", "Given up", "bad"),
    "failing": Status("alert-triangle", "Failing", "warn"),
    # statement balance check
    "ok": Status("scale", "Balances", "good"),
    "differs": Status("alert-triangle", "Does not balance", "bad"),
    "unknown": Status("help", "Not stated", "neutral"),
    # how a statement joins the one before
    "first": Status("circle-dot", "First", "neutral"),
    "follows": Status("link", "Follows", "good"),
    "gap": Status("unlink", "Gap", "bad"),
    "overlap": Status("copy", "Overlaps", "warn"),
    "touches": Status("copy", "Shares a day", "neutral"),
    # a statement beside its new issue
    "same": Status("equal", "Same", "good"),
    "changed": Status("edit", "Changed", "warn"),
    "missing": Status("circle-minus", "Missing", "bad"),
    "new": Status("plus", "New", "busy"),
}

REASONS = {
    "no_candidate": "No candidate",
    "amount_differs": "Amount differs",
    "date_outside_window": "Date outside the window",
    "date_missing": "No date",
    "reference_differs": "Reference differs",
    "description_differs": "Description differs",
    "counterparty_differs": "Counterparty differs",
    "currency_differs": "Currency differs",
    "no_rate": "No exchange rate",
    "opposite_sign": "Opposite sign",
    "ambiguous": "Several equal candidates",
    "too_many_candidates": "Too many candidates to look for a sum",
    "claimed_by_another": "Candidate taken by another match",
    "group_total_differs": "Group total differs",
    "group_already_settled": "Group already settled",
    "group_partly_claimed": "Group partly taken",
    "possible_duplicate": "Possible duplicate",
    "difference_over_limit": "Difference over the limit",
    "suggested": "Waits for a decision",
    "reopened": "Its match was undone",
    "split": "Split by hand",
    "joined": "Its parts were joined",
    "arrived_late": "Came after the run",
    "superseded": "Replaced by a new issue",
    "taken_back": "Its import was taken back",
}

DECISIONS = {
    "sole": "only candidate",
    "twins": "interchangeable rows",
    "date": "nearest date",
    "best": "best candidate",
    "ambiguous": "other candidates would do as well",
    "limit": "difference over the limit",
    "suggest_only": "its rule only suggests",
    "reversal": "rows cancel each other",
    "hand": "matched by hand",
}


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 line``, ``1,200 lines``, ``2 entries`` (given ``many``)."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
