"""A real server with the demo: the official client, requests sent twice at once, a process killed over its answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.test_blnk_reconciliation import STATEMENT
from tests.sites import ROOT, served

CLIENT = "@blnkfinance/blnk-typescript"
CLIENT_VERSION = "1.3.0"

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("site"), "demo", application="tests.api.dying:application") as site:
        yield site


@pytest.fixture(scope="module")
def client_package() -> str:
    """Where npm has put the client; it stays there for the next time."""
    place = ROOT / "build" / "npm"
    package = place / "node_modules" / CLIENT
    if not package.exists():
        assert shutil.which("npm"), "npm is needed for the official client (on Debian: apt-get install nodejs npm)"
        place.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        install = ["npm", "install", *quiet, "--prefix", str(place), f"{CLIENT}@{CLIENT_VERSION}"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    assert json.loads((package / "package.json").read_text())["version"] == CLIENT_VERSION
    return str(package)


@pytest.fixture(scope="module")
def said(site, client_package, tmp_path_factory):
    """What the official client got for every call of `practice.cjs`."""
    rows = [
        f"pay-{number:03},{amount},2025-03-17T06:{30 + number}:00Z,Payment {number},USD,"
        f"ext_txn_{number:03}_txn_{number:03},Stripe"
        for number, amount in enumerate(STATEMENT, 1)
    ]
    file = tmp_path_factory.mktemp("practice") / "external.csv"
    file.write_text("\n".join(["id,amount,date,description,currency,reference,source", *rows]) + "\n")
    script = ROOT / "tests" / "api" / "sdk" / "practice.cjs"
    command = ["node", str(script), client_package, f"{site.address}/", site.key, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_practice_example_gives_the_documented_counts_beside_the_demo(said):
    assert said["bulk"]["data"]["status"] == "applied"
    assert said["bulk"]["data"]["transaction_count"] == 10
    assert said["upload"]["status"] == 200
    upload_id = said["upload"]["data"]["upload_id"]
    assert said["upload"]["data"] == {"upload_id": upload_id, "record_count": 10, "source": "Stripe"}
    result = said["result"]["data"]
    assert (result["status"], result["is_dry_run"]) == ("completed", False)
    assert (result["matched_transactions"], result["unmatched_transactions"]) == (2, 8)
    assert result["upload_id"] == upload_id
    assert result["completed_at"] >= result["started_at"]
    meta = said["entry"]["data"]["meta_data"]
    assert meta["reconciliation_id"] == result["reconciliation_id"]
    assert (meta["reconciled"], meta["external_txn_id"], meta["reconciliation_amount"]) == (True, "pay-001", 152.75)


def test_the_official_client_understands_every_answer(said):
    assert [(name, each["status"]) for name, each in said.items()] == [
        ("bulk", 200), ("upload", 200), ("rule", 201), ("run", 200), ("result", 200), ("entry", 200),
        ("instant", 200), ("instantResult", 200), ("renamed", 200), ("deleted", 200),
        ("deletedAgain", 404), ("unknown", 404), ("stranger", 401),
    ]  # fmt: skip
    assert said["rule"]["data"]["rule_id"].startswith("rule_")
    assert said["run"]["data"]["reconciliation_id"].startswith("recon_")
    assert said["renamed"]["data"]["name"] == "Renamed"
    assert isinstance(said["deleted"]["data"]["message"], str)
    instant = said["instantResult"]["data"]
    assert (instant["matched_transactions"], instant["unmatched_transactions"], instant["is_dry_run"]) == (1, 1, True)
    codes = [said[name]["error"]["code"] for name in ("deletedAgain", "unknown", "stranger")]
    assert codes == ["RECON_RULE_NOT_FOUND", "RECON_NOT_FOUND", "AUTH_INVALID_API_KEY"]


RULE = {"name": "By reference", "criteria": [{"field": "reference", "operator": "eq"}]}


def instant(site, name: str) -> dict:
    _, rule = site.send("POST", "/reconciliation/matching-rules", RULE)
    rows = [{"id": name, "amount": 10, "reference": name, "currency": "USD"}]
    return {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule["rule_id"]]}


def runs(site) -> int:
    return len(site.send("GET", "/reconciliation")[1])


def test_of_requests_sent_at_once_with_one_key_one_is_worked_on(site):
    body, before = instant(site, "at once"), runs(site)

    def send(_: int):
        return site.send("POST", "/reconciliation/start-instant", body, **{"Idempotency-Key": "at once"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert answers == [answers[0]] * 6
    assert answers[0][0] == 200
    assert runs(site) == before + 1


def test_of_runs_started_at_once_one_gets_each_entry_and_none_disturbs_another(site):
    """Each entry is wanted by two real runs and a dry one, and some runs are refused for their rows."""
    names = [f"wanted {number}" for number in range(6)]
    entries = [{"reference": name, "amount": 10, "currency": "USD", "source": "@a"} for name in names]
    assert site.send("POST", "/transactions/bulk", {"transactions": entries, "atomic": True})[0] == 200
    bodies = [{**instant(site, name), "dry_run": is_dry} for name in names for is_dry in (False, True, False)]
    broken = [{**instant(site, name), "external_transactions": [{"id": name, "amount": "ten"}]} for name in names]
    mixed = [body for some in zip(*[iter(bodies)] * 3, broken, strict=True) for body in some]

    def start(body):
        status, answer = site.send("POST", "/reconciliation/start-instant", body)
        if status != 200:
            return status, None
        return status, site.send("GET", f"/reconciliation/{answer['reconciliation_id']}")[1]

    with ThreadPoolExecutor(len(mixed)) as pool:
        answers = list(pool.map(start, mixed))
    assert [status for status, _ in answers] == [200, 200, 200, 400] * len(names)
    runs = [run for _, run in answers if run]
    assert {run["status"] for run in runs} == {"completed"}
    for of_one in zip(*[iter(runs)] * 3, strict=True):
        assert sum(run["matched_transactions"] for run in of_one if not run["is_dry_run"]) == 1
        assert all(run["matched_transactions"] + run["unmatched_transactions"] == 1 for run in of_one)


def kill(site, place: str, path: str, body, headers) -> None:
    """Send a request whose process dies at the place, and start the server again."""
    (site.data / "die").write_text(place)
    with pytest.raises(OSError):  # the connection breaks off
        site.send("POST", path, body, **headers)
    site.processes[-1].wait(timeout=20)
    site.start_web()


def test_a_run_survives_a_kill_between_work_and_answer(site):
    body, before, key = instant(site, "killed"), runs(site), {"Idempotency-Key": "killed"}
    kill(site, "before the answer is kept", "/reconciliation/start-instant", body, key)
    status, answer = site.send("POST", "/reconciliation/start-instant", body, **key)
    assert status == 200
    assert runs(site) == before + 1
    assert site.send("GET", f"/reconciliation/{answer['reconciliation_id']}")[1]["status"] == "completed"
    assert site.send("POST", "/reconciliation/start-instant", body, **key) == (200, answer)


@pytest.mark.parametrize(
    ("place", "key", "stored"),
    [
        ("before the run is stored", {}, 1),
        ("before the run is stored", {"Idempotency-Key": "not stored"}, 1),
        ("before the answer is sent", {}, 2),  # the second finds the entry taken
        ("before the answer is sent", {"Idempotency-Key": "not sent"}, 1),
    ],
)
def test_a_run_that_is_sent_again_settles_its_entry_once(site, place, key, stored):
    name = f"{place}{key}"
    entry = {"reference": name, "amount": 10, "currency": "USD", "source": "@a"}
    assert site.send("POST", "/transactions/bulk", {"transactions": [entry], "atomic": True})[0] == 200
    body, before = instant(site, name), runs(site)
    kill(site, place, "/reconciliation/start-instant", body, key)
    assert site.send("POST", "/reconciliation/start-instant", body, **key)[0] == 200
    found = site.send("GET", "/reconciliation")[1]
    assert len(found) == before + stored
    assert sum(run["matched_transactions"] for run in found[:stored]) == 1


@pytest.mark.parametrize("place", ["before the answer is kept", "before the answer is sent"])
def test_an_entry_is_made_once_wherever_the_process_is_killed(site, place):
    entry, key = {"reference": place, "amount": 10, "currency": "USD"}, {"Idempotency-Key": place}
    kill(site, place, "/transactions", entry, key)
    status, answer = site.send("POST", "/transactions", entry, **key)
    assert (status, answer["reference"]) == (200, place)
    assert site.send("POST", "/transactions", entry)[0] == 409  # it is there, once
