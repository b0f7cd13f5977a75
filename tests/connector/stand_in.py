"""A stand-in for Blnk Core, made from facts of its public API (see recon/blnk_core.py), run as a process of its own.

``python -m tests.connector.stand_in`` prints its port. What it holds and does wrong is set over HTTP: POST /_set with
``{"transactions": […], "faults": […]}``, and read from GET /_state. A fault befalls one request, in order: "500",
"429", "slow", "truncated", "not_json", "again" (the page before once more), "unsorted"; "ok" lets one pass.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "blnk-key"
STATE: dict[str, Any] = {"transactions": [], "faults": [], "queries": [], "writes": [], "gone": []}
LAST: list[bytes] = [b"[]"]

COMPARE = {
    "eq": lambda a, b: a == b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def value(field: str, text: Any) -> Any:
    return datetime.fromisoformat(text) if field == "created_at" else text


def found(query: dict[str, Any]) -> list[dict[str, Any]]:
    rows = STATE["transactions"]
    for each in query["filters"]:
        compare, wanted = COMPARE[each["operator"]], value(each["field"], each["value"])
        rows = [row for row in rows if compare(value(each["field"], row[each["field"]]), wanted)]
    by = query.get("sort_by") or "created_at"
    return sorted(rows, key=lambda row: value(by, row[by]), reverse=query.get("sort_order") != "asc")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, json.dumps(STATE).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/_set":
            STATE.update(body)
            self.answer(200, b"{}")
        elif self.headers.get("X-Blnk-Key") != KEY:
            self.answer(401, b'{"error": "Invalid API key"}')
        elif self.path == "/transactions/filter":
            self.filter(body)
        elif self.path.endswith("/metadata"):
            self.write(self.path.split("/")[1], body)
        else:
            self.answer(404, b"404 page not found")

    def filter(self, query: dict[str, Any]) -> None:
        rows = found(query)
        if query.get("include_count"):
            self.answer(200, json.dumps({"data": rows[:1], "total_count": len(rows)}).encode())
            return
        STATE["queries"].append(query)
        limit = query.get("limit", 20)
        limit, offset = (limit if 0 < limit <= 100 else 20), query.get("offset", 0)
        page = json.dumps(rows[offset : offset + limit]).encode()
        fault = STATE["faults"].pop(0) if STATE["faults"] else "ok"
        if fault == "unsorted":
            page = json.dumps(rows[offset : offset + limit][::-1]).encode()
        page = LAST[0] if fault == "again" else page
        LAST[0] = page
        self.misbehave(fault, page)

    def misbehave(self, fault: str, page: bytes) -> None:
        if fault == "500":
            self.answer(500, b'{"error": "Failed to retrieve transactions"}')
        elif fault == "429":
            self.answer(429, b'{"error": "rate limit"}', {"Retry-After": "1"})
        elif fault == "slow":
            time.sleep(30)
        elif fault == "truncated":
            self.answer(200, page[: len(page) // 2], {"Content-Length": str(len(page))})
            self.close_connection = True
        elif fault == "not_json":
            self.answer(200, page[: len(page) // 2])
        else:
            self.answer(200, page)

    def write(self, name: str, body: dict[str, Any]) -> None:
        rows = [row for row in STATE["transactions"] if name in {row["transaction_id"], row.get("parent_transaction")}]
        fault = STATE["faults"].pop(0) if STATE["faults"] else "ok"
        if fault == "500":
            self.answer(500, b'{"error": "internal"}')
        elif not rows or name in STATE["gone"]:
            self.answer(404, b'{"error": "entity not found"}')
        else:
            STATE["writes"].append([name, body["meta_data"]])
            for row in rows:
                row["meta_data"] = {**(row.get("meta_data") or {}), **body["meta_data"]}
            self.answer(200, json.dumps({"meta_data": rows[0]["meta_data"]}).encode())

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Tests are quiet."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)  # noqa: T201 - the parent reads it
    server.serve_forever()
