"""`POST /reconciliation/upload` with an address instead of a file, against a real server on this machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recon.models import Statement

FILE = b"ID,Amount,Date,Currency,Reference\ne1,10.00,2026-01-05,USD,a\ne2,11.00,2026-01-06,USD,b\n"


class Files(BaseHTTPRequestHandler):
    """Gives a file, redirects, or fails, as the path says."""

    server: ThreadingHTTPServer

    def do_GET(self) -> None:
        there = f"http://127.0.0.1:{self.server.server_port}"
        target = {"/moved": f"{there}/bank.csv", "/away": "http://169.254.169.254/latest/meta-data"}.get(self.path)
        self.send_response(302 if target else 404 if self.path == "/gone" else 200)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", str(0 if target else len(FILE)))
        self.end_headers()
        if not target:
            self.wfile.write(FILE)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="module")
def files():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def listed(files, settings):
    """The server's address, listed both as a source of files and as a private place on purpose."""
    settings.UPLOAD_HOSTS = settings.PRIVATE_HOSTS = [files]
    return files


def upload(api, url, **fields):
    return api.post("/reconciliation/upload", {"url": url, "source": "bank", **fields})


@pytest.mark.parametrize("path", ["bank.csv", "moved", "bank.csv?signature=x"])
def test_a_file_at_a_listed_host_is_stored(api, listed, path):
    answer = upload(api, f"http://{listed}/{path}")
    assert answer.status_code == 200
    statement = Statement.objects.get()
    assert answer.data == {"upload_id": statement.upload_id, "record_count": 2, "source": "bank"}
    assert statement.name == ("bank.csv")


def test_no_host_is_listed_by_default(api, files):
    refused = upload(api, f"http://{files}/bank.csv")
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_HOST_NOT_ALLOWED")


def test_a_listed_host_at_a_private_address_is_refused(api, files, settings):
    settings.UPLOAD_HOSTS = [files]
    refused = upload(api, f"http://{files}/bank.csv")
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_HOST_NOT_ALLOWED")


def test_a_redirect_is_judged_like_the_first_address(api, listed):
    refused = upload(api, f"http://{listed}/away")
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_HOST_NOT_ALLOWED")
    assert not Statement.objects.exists()


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "//host/x", "x", "http://", "http://a:b@host/x"]
)
def test_an_address_of_another_kind_is_refused(api, url):
    refused = upload(api, url)
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_URL_INVALID")


@pytest.mark.parametrize(("path", "limit"), [("gone", 10**6), ("bank.csv", 20)])
def test_what_is_no_file_or_too_large_is_said(api, listed, settings, path, limit):
    settings.MAX_UPLOAD_BYTES = limit * 10 if path == "gone" else limit * 4
    refused = upload(api, f"http://{listed}/{path}")
    assert (refused.status_code, refused.data["error_detail"]["code"]) == (400, "RECON_UPLOAD_FAILED")


@pytest.mark.parametrize("body", [{}, {"url": ""}, {"source": "bank"}])
def test_neither_file_nor_address_is_refused_in_blnks_words(api, body):
    refused = api.post("/reconciliation/upload", body)
    assert (refused.status_code, refused.data["error"]) == (400, "File upload failed")
