"""The HTTP API as a program meets it: granian as `./run serve` starts it, over loopback, one process that asks.

    DATABASE_URL=postgresql://… ./run bench --suite api

needs an empty database, which it migrates. It measures instant runs of 10,000 rows, start to finished of 100 rows with
20 clients at once, small requests, and loading entries in bulk. Everything is bounded; figures in README.md, "HTTP API".
"""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 20
WARM = 3
LEDGER = 20_000
EXACT = {
    "name": "Exact",
    "criteria": [{"field": "amount", "operator": "eq"}, {"field": "reference", "operator": "eq"}],
}


class Caller:
    """One kept connection with a key. It speaks just as much HTTP as these answers need: who asks is at work on the
    same processors as who answers, and would be elsewhere in life."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb")
        self.headers = {"Host": f"127.0.0.1:{port}", "X-Blnk-Key": key, "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        sent = {**self.headers, **headers, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        status, content = self._answer()
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content)

    def _answer(self) -> tuple[int, bytes]:
        """Status and body, whose length the server gives."""
        status, length = int(self.answers.readline().split(None, 2)[1]), 0
        while (line := self.answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self.answers.read(length)


def measure(say: Callable[[str], None], bulk_rows: int = 1_000_000) -> None:
    """Start a server on the database of DATABASE_URL, measure, say what was found."""
    with served() as (port, key):
        call = Caller(port, key)
        rule = call("POST", "/reconciliation/matching-rules", json.dumps(EXACT).encode())["rule_id"]
        say(f"20,000 entries over POST /transactions/bulk: {timed(lambda: load(call))[0]:.2f} s")
        say(f"instant run of 10,000 rows: {many(lambda: instant(call, rule, 10_000), 5)}")
        say(f"GET of a run, one client: {many(lambda: call('GET', '/reconciliation/' + run_id(call, rule)), 50)}")
        say(f"100 rows, one client: {many(lambda: finished(call, rule), 20)}")
        say(f"100 rows, {CLIENTS} clients at once: {at_once(port, key, rule)}")
        if bulk_rows:
            body, path = lines_of(bulk_rows), "/api/v1/ledger/entries/bulk"
            kind = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "bulk"}
            late = Caller(port, key)  # the other connection was idle for longer than the server keeps it
            seconds, _ = timed(lambda: late("POST", path, body, **kind))
            say(f"{bulk_rows:,} entries ({len(body) / 1e6:.0f} MB) over POST {path}: {seconds:.1f} s")


def entry(number: int) -> dict[str, Any]:
    return {"reference": f"ref-{number:07}", "amount": 1 + number % 9973, "currency": "USD", "source": "@a"}


def load(call: Caller) -> None:
    for start in range(0, LEDGER, 10_000):
        items = [entry(number) for number in range(start, start + 10_000)]
        call("POST", "/transactions/bulk", json.dumps({"atomic": True, "transactions": items}).encode())


def body_of(rule: str, numbers: range | list[int]) -> bytes:
    rows = [{"id": f"e{n}", "amount": 1 + n % 9973, "reference": f"ref-{n:07}", "currency": "USD"} for n in numbers]
    body = {"external_transactions": rows, "strategy": "one_to_one", "matching_rule_ids": [rule], "dry_run": True}
    return json.dumps(body).encode()


def instant(call: Caller, rule: str, rows: int) -> None:
    found = call("POST", "/reconciliation/start-instant", body_of(rule, range(rows)))
    shown = call("GET", f"/reconciliation/{found['reconciliation_id']}")
    if shown["matched_transactions"] != rows:
        raise RuntimeError(f"{rows} rows, found {shown}")


_known: list[str] = []


def run_id(call: Caller, rule: str) -> str:
    if not _known:
        found = call("POST", "/reconciliation/start-instant", body_of(rule, range(10)))
        _known.append(found["reconciliation_id"])
    return _known[0]


def finished(call: Caller, rule: str) -> None:
    """100 rows from the request that starts them to the answer that says completed."""
    numbers = random.sample(range(LEDGER), 100)
    found = call("POST", "/reconciliation/start-instant", body_of(rule, numbers))
    while call("GET", f"/reconciliation/{found['reconciliation_id']}")["status"] != "completed":
        time.sleep(0.005)


def at_once(port: int, key: str, rule: str, each: int = 20) -> str:
    """Once each client has had a few: the server's threads open their connections to the database with their first."""
    together = threading.Barrier(CLIENTS)

    def client(_: int) -> list[float]:
        call = Caller(port, key)
        for _ in range(WARM):
            finished(call, rule)
        together.wait()
        return [timed(lambda: finished(call, rule))[0] for _ in range(each)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        took = list(pool.map(client, range(CLIENTS)))
    whole = max(map(sum, took))  # they begin at the same moment
    return f"{spread([second for some in took for second in some])}, {CLIENTS * each / whole:.0f} runs/s"


def lines_of(rows: int) -> bytes:
    """So many entries, one a line."""
    made = ({**entry(LEDGER + number), "booking_date": "2026-03-31"} for number in range(rows))
    return "\n".join(map(json.dumps, made)).encode()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def many(work: Callable[[], Any], times: int) -> str:
    work()
    return spread([timed(work)[0] for _ in range(times)])


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {statistics.median(ordered) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms of {len(ordered)}"


@contextmanager
def served() -> Iterator[tuple[int, str]]:
    """A web server as `./run serve` starts it, and a key."""
    with tempfile.TemporaryDirectory(prefix="tieout-bench") as data, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        env = {**os.environ, "TIEOUT_DATA_DIR": data}
        manage = [sys.executable, str(ROOT / "manage.py")]
        subprocess.run([*manage, "migrate", "-v0"], env=env, check=True)
        key = [*manage, "create_api_key", "--name", "bench", "--scopes", "admin"]
        made = subprocess.run(key, env=env, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        server = subprocess.Popen(
            [*manage, "serve", "--no-demo", "--port", str(port)], env=env, stdout=subprocess.DEVNULL
        )
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until and probe_fails(port):
                time.sleep(0.1)
            yield port, made
        finally:
            server.terminate()
            server.wait(timeout=30)


def probe_fails(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    measure(print, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
