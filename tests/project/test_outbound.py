"""Requests to addresses that people type in."""

from __future__ import annotations

import io
import ipaddress
import socket
import threading
import time

import pytest

from recon.outbound import AddressRefusedError, Call, Limits, OutboundError, fetch, is_public
from tests.listening import listening

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds tell machines their secrets
    "100.64.0.1",  # carriers' own network
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",  # 127.0.0.1 behind NAT64
    "2002:7f00:1::",  # 127.0.0.1 as 6to4
    "2001:0:a9fe:a9fe::",  # Teredo by way of 169.254.169.254
    "2001:db8::1",
]


@pytest.fixture
def loopback(settings):
    settings.PRIVATE_HOSTS = ["127.0.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_the_own_machine_is_refused_however_it_is_spelled(host):
    with listening() as listener:
        with pytest.raises(AddressRefusedError, match="TIEOUT_PRIVATE_HOSTS"):
            fetch(Call("GET", f"http://{host}:{listener.port}/"))
        assert not listener.received


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://example.com/", "Expected an address such as https"),
        ("file:///etc/passwd", "Expected an address such as https"),
        ("example.com", "Expected an address such as https"),
        ("http://", "Expected an address such as https"),
        ("http://me:secret@example.com/", "user name or password"),
        ("http://example.com/a b", "spaces"),
        ("http://example.com/\r\nHost: other", "spaces"),
        ("http://exämple.com/", "other characters"),
        ("http://example.com:0/", "port"),
        ("http://example.com:99999/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
    ],
)
def test_what_is_no_address_is_refused_with_what_was_expected(url, expected):
    with pytest.raises(AddressRefusedError, match=expected):
        fetch(Call("GET", url))


def test_a_listed_host_may_be_private_and_a_port_narrows_it(settings):
    with listening(lambda _: (200, {"X-Kind": "test"}, b"hello")) as listener:
        settings.PRIVATE_HOSTS = [f"127.0.0.1:{listener.port}"]
        answer = fetch(Call("POST", f"{listener.url}/path?q=1", {"X-Key": "k"}, b"body"))
        assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b"hello", "test")
        sent = listener.received[0]
        assert (sent.method, sent.path, sent.headers["x-key"], sent.body) == ("POST", "/path?q=1", "k", b"body")
        assert sent.headers["host"] == f"127.0.0.1:{listener.port}"
        settings.PRIVATE_HOSTS = ["127.0.0.1:1"]
        with pytest.raises(AddressRefusedError):
            fetch(Call("GET", listener.url))


def test_the_address_that_was_judged_is_the_one_connected_to(settings, monkeypatch):
    """A name server that gives a public address first and a private one later must not be asked twice."""
    settings.PRIVATE_HOSTS = ["rebind.test"]
    asked = []

    def resolve(host, port, **more):
        asked.append(host)
        place = ("127.0.0.1", port) if len(asked) == 1 else ("192.0.2.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with listening(lambda _: (200, {}, b"")) as listener:
        answer = fetch(Call("GET", f"http://rebind.test:{listener.port}/"))
    assert answer.status == 200
    assert asked == ["rebind.test"]
    assert listener.received[0].headers["host"] == f"rebind.test:{listener.port}"


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch):
    places = [("8.8.8.8", 80), ("10.0.0.1", 80)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.1"):
        fetch(Call("GET", "http://two.test/"))


def test_a_redirect_is_judged_like_an_address(loopback):
    with listening(lambda _: (302, {"Location": "http://localhost:1/secret"}, b"")) as listener:
        with pytest.raises(AddressRefusedError, match="localhost"):
            fetch(Call("GET", listener.url), Limits(redirects=3))
        assert fetch(Call("GET", listener.url)).status == 302  # none to be followed: it is the answer
        assert fetch(Call("POST", listener.url), Limits(redirects=3)).status == 302


def test_a_redirect_to_another_host_does_not_get_the_key(loopback):
    with listening(lambda _: (200, {}, b"there")) as there, listening() as here:
        here.reply = lambda _: (307, {"Location": f"{there.url}/next"}, b"")
        answer = fetch(Call("GET", here.url, {"Authorization": "Bearer k"}), Limits(redirects=1))
    assert (answer.body, answer.url) == (b"there", f"{there.url}/next")
    assert "authorization" in here.received[0].headers
    assert "authorization" not in there.received[0].headers


def test_a_list_of_hosts_holds_for_redirects_too(loopback):
    with listening(lambda _: (302, {"Location": "http://127.0.0.1:1/"}, b"")) as listener:
        hosts = [f"127.0.0.1:{listener.port}"]
        with pytest.raises(AddressRefusedError, match="not among the hosts"):
            fetch(Call("GET", listener.url, only_hosts=hosts), Limits(redirects=1))
        with pytest.raises(AddressRefusedError, match="not among the hosts"):
            fetch(Call("GET", listener.url, only_hosts=[]))
    assert len(listener.received) == 1


def test_too_much_is_refused_or_cut(loopback):
    with listening(lambda _: (200, {}, b"x" * 100)) as listener:
        with pytest.raises(OutboundError, match="larger than the 99 bytes"):
            fetch(Call("GET", listener.url), Limits(max_bytes=99))
        assert fetch(Call("GET", listener.url), Limits(max_bytes=100)).body == b"x" * 100
        cut = fetch(Call("GET", listener.url), Limits(max_bytes=10), excerpt=True)
        assert (cut.body, cut.is_cut) == (b"x" * 10, True)
        file = io.BytesIO()
        assert fetch(Call("GET", listener.url), into=file).body == b""
        assert file.getvalue() == b"x" * 100


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "50"}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunks"]
)
def test_an_answer_that_breaks_off_is_no_answer(loopback, headers):
    body = b"half" if "Content-Length" in headers else b"4\r\nhalf\r\n"
    with listening(lambda _: (200, headers, body)) as listener, pytest.raises(OutboundError, match="breaks off"):
        fetch(Call("GET", listener.url))


def test_a_server_that_drips_is_cut_off_in_time(loopback):
    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            try:
                client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                for _ in range(100):
                    client.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                pass  # hung up on, as it should be

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=[server], daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(OutboundError, match="in time"):
            fetch(Call("GET", f"http://127.0.0.1:{server.getsockname()[1]}"), Limits(seconds=0.3))
        assert time.monotonic() - began < 3
        thread.join()


@pytest.mark.parametrize("text", ["top\r\nX-Other: secret", "gehe\u00efm", "nul\x00"])
def test_a_header_that_cannot_be_sent_is_refused_without_repeating_it(loopback, text):
    with listening() as listener, pytest.raises(OutboundError, match="cannot be sent") as refused:
        fetch(Call("GET", listener.url, {"X-Blnk-Key": text}))
    assert text not in str(refused.value)
    assert not listener.received


def test_nobody_there_is_said(loopback):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OutboundError, match="cannot be reached: connection refused"):
        fetch(Call("GET", f"http://127.0.0.1:{port}"))
    with pytest.raises(OutboundError, match=r"no host named nowhere\.invalid"):
        fetch(Call("GET", "http://nowhere.invalid/"))


def test_something_that_is_not_http_is_said(loopback):
    with listening() as listener, pytest.raises(OutboundError):
        fetch(Call("GET", f"https://127.0.0.1:{listener.port}/"))
