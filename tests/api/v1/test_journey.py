"""From an empty account to a reversed run, as a program goes."""

from __future__ import annotations

from django.core.files.uploadedfile import SimpleUploadedFile

CSV = b"""Date;Amount;Currency;Reference
2026-03-02;100.00;EUR;INV-1
2026-03-03;49.50;EUR;INV-2
2026-03-04;-12.00;EUR;FEE
"""


def entry(reference: str, amount: str) -> dict:
    return {"amount": amount, "currency": "EUR", "booking_date": "2026-03-01", "reference": reference}


def test_a_program_goes_the_whole_way(v1):
    settings = {"tolerance": "0.05", "sla_days": 3, "amount_column": "net", "split_batches": True}
    account = v1.post("accounts", {"name": "House bank", "scope": {"owned": True}, **settings})
    assert (account.status_code, {name: account.data[name] for name in settings}) == (201, settings)
    account_id = account.data["id"]

    entries = [entry("INV-1", "100.00"), entry("INV-2", "50.00"), entry("INV-3", "7.00")]
    loaded = v1.post(f"ledger/entries/bulk?account={account_id}&name=March", entries)
    assert (loaded.status_code, loaded.data["record_count"], loaded.data["state"]) == (201, 3, "ready")

    seen = v1.upload("statements/inspect", SimpleUploadedFile("march.csv", CSV), account=account_id)
    assert seen.status_code == 200, seen.data
    assert (seen.data["row_count"], seen.data["can_import"], seen.data["rows"][0]["amount"]) == (3, True, "100.00")
    statement = v1.upload("statements", SimpleUploadedFile("march.csv", CSV), account=account_id)
    assert (statement.status_code, statement.data["record_count"]) == (201, 3)

    criteria = [{"field": "reference", "operator": "eq"}, {"field": "amount", "operator": "eq"}]
    rule = v1.post("rules", {"name": "Exact", "criteria": criteria})
    assert (rule.status_code, rule.data["body"]["criteria"]) == (201, criteria)
    places = v1.send("PUT", f"accounts/{account_id}/rules", {"rules": [{"rule": rule.data["id"]}]})
    assert [each["rule"]["name"] for each in places.data["rules"]] == ["Exact"]

    trial = v1.post("rules/preview", {"rule_id": rule.data["id"], "statement": statement.data["id"]})
    assert (trial.data["matched"], trial.data["left"]) == (1, 2)

    dry = v1.post("runs", {"statement": statement.data["id"], "dry_run": True})
    assert (dry.status_code, dry.data["state"]) == (201, "completed")
    assert dry.data["lines"] == {"total": 3, "matched": 1, "suggested": 0, "unmatched": 2}
    real = v1.post(f"runs/{dry.data['id']}/apply", {})
    assert (real.status_code, real.data["applied_from"], real.data["lines"]["matched"]) == (201, dry.data["id"], 1)
    run = f"runs/{real.data['id']}"

    left = v1.get(f"{run}/unmatched?side=statement").data["items"]
    assert [each["reason"] for each in left] == ["amount_differs", "no_candidate"]
    assert (left[0]["difference"], left[0]["nearest"]["amount"]) == ("-0.50", "50.00")
    told = v1.get(f"{run}/explain?line={left[0]['line']}&entry={left[0]['nearest']['entry']}").data["items"][0]
    assert not told["matches"]

    pair = {"lines": [{"id": left[0]["line"]}], "entries": [{"id": left[0]["nearest"]["entry"]}]}
    chosen = {"account": account_id, **pair}
    assert v1.post("matches/tie", chosen).data["problem"].startswith("The two sides do not tie")
    made = v1.post("matches", {**chosen, "difference_type": "fee", "comment": "bank fee"})
    assert (made.status_code, made.data["differences"][0]["amount"]) == (201, "-0.50")

    items = v1.get(f"open-items?account={account_id}&side=statement").data["items"]
    assert [each["amount"] for each in items] == ["-12.00"]
    held = {"action": "hold", "hold_until": "2099-01-01", "why": "ask the bank"}
    assert v1.post(f"open-items/{items[0]['id']}/act", held).data["state"] == "on_hold"

    tie = v1.get(f"reports/balance?account={account_id}&as_at=2026-03-31").data["items"][0]
    assert (tie["lines"], tie["books"]) == ("137.50", "157.00")
    assert (tie["open_lines"], tie["open_entries"]) == ("-12.00", "7.00")
    assert (tie["differences"], tie["unexplained"], tie["ties"]) == ("-0.50", "0.00", True)

    reversed_run = v1.post(f"{run}/reverse", {"include_manual": False, "why": "wrong month"})
    assert (reversed_run.status_code, reversed_run.data["state"]) == (200, "reversed")
    verbs = [each["verb"] for each in v1.get(f"audit/events?account={account_id}").data["items"]]
    assert verbs[:3] == ["run reversed", "item on hold", "matched by hand"]
