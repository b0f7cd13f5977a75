"""Requests to addresses that people type in: webhooks, ledgers to pull from, files to fetch.

Such an address must not become a way into the network this server stands in. A name is resolved once, every address it
has must be a public one, and the connection goes to exactly the address that was judged: a name server that answers
differently a second time gains nothing. Redirects are judged like the first address. Hosts that stand at private
addresses on purpose are listed in TIEOUT_PRIVATE_HOSTS.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings

CHUNK: Final = 64 * 1024
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PORTS: Final = {"http": 80, "https": 443}
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Place = tuple[socket.AddressFamily, str]  # where a name leads to


class OutboundError(Exception):
    """There is no answer; the text says why, for the person who typed the address."""


class AddressRefusedError(OutboundError):
    """The address is one that this server does not send requests to. Trying again changes nothing."""


@dataclass(frozen=True)
class Limits:
    """What an answer may cost."""

    seconds: float = 10.0  # for everything after the name is resolved, redirects included
    max_bytes: int = 1024 * 1024
    redirects: int = 0  # followed for GET only; a redirect beyond them is the answer


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is empty if it was written to a file; `is_cut`: there was more than an excerpt."""

    status: int
    headers: Mapping[str, str]  # names in small letters
    body: bytes
    url: str  # of the last address, after redirects
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Call:
    """One request. `only_hosts`: the only hosts it may go to, redirects included (None: any public one)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    only_hosts: Collection[str] | None = None


def fetch(call: Call, limits: Limits = Limits(), *, into: BinaryIO | None = None, excerpt: bool = False) -> Answer:
    """Send a request and give the answer, whatever its status.

    The body goes to `into` if given. One larger than the limit raises, or with `excerpt` is cut there. Raises
    `AddressRefusedError` for an address that is not allowed, else `OutboundError`: unreachable, too slow, broken off.
    """
    until = time.monotonic() + limits.seconds
    for followed in range(limits.redirects + 1):
        with _opened(call, until) as response:
            target = response.headers.get("Location")
            is_redirect = response.status in REDIRECTS and call.method == "GET" and bool(target)
            if not is_redirect or followed == limits.redirects:
                return _read(call, response, limits.max_bytes, into, excerpt)
        call = _redirected(call, str(target))
    raise AssertionError("the last round answers")


def checked_url(url: str, only_hosts: Collection[str] | None = None) -> SplitResult:
    """The parts of an address of the kind we send requests to; raises `AddressRefusedError`. Resolves nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefusedError(f"The address {url!r} cannot be read: {error}.") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise AddressRefusedError(f"Expected an address such as https://example.com/path, found {url!r}.")
    if port == 0 or not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise AddressRefusedError("The address holds spaces, other characters or a port that no address has.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("The address holds a user name or password; give the address without them.")
    if only_hosts is not None and not _is_listed(parts, only_hosts):
        raise AddressRefusedError(
            f"{parts.hostname} is not among the hosts that files may be fetched from, which TIEOUT_UPLOAD_HOSTS lists."
        )
    return parts


def refuse_plainly_private(parts: SplitResult) -> None:
    """Raise `AddressRefusedError` for what is a private address without asking a name server: when it is typed, not
    when it is first used. Names are judged whenever something is sent to them."""
    if _is_listed(parts, settings.PRIVATE_HOSTS):
        return
    address = _spelled_out(parts.hostname or "")
    if address is not None and not is_public(address):
        raise _private(parts.hostname, str(address))


def _spelled_out(host: str) -> Address | None:
    """The address that a host is by itself, also as old programs write one (``127.1``, ``0x7f000001``); None for a
    name."""
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None


def is_public(address: Address) -> bool:
    """Whether the whole internet reaches this address; one that wraps another is judged by that one too."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    inside = [address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    elif address not in GLOBAL_UNICAST:
        return False
    return address.is_global and all(is_public(each) for each in inside if each is not None)


def _is_writable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_listed(parts: SplitResult, hosts: Collection[str]) -> bool:
    """Lists hold hosts, with or without a port: ``ledger.internal``, ``127.0.0.1:5001``, ``[::1]:5001``."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or PORTS[parts.scheme]
    return not {host, f"{host}:{port}"}.isdisjoint(each.lower() for each in hosts)


def _resolve(parts: SplitResult) -> list[Place]:
    """The addresses of the host, all of them allowed."""
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutboundError(f"There is no host named {parts.hostname}.") from error
    places: list[Place] = list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))
    if not _is_listed(parts, settings.PRIVATE_HOSTS):
        for _, place in places:
            if not is_public(ipaddress.ip_address(place.partition("%")[0])):
                raise _private(parts.hostname, place)
    return places


def _private(host: str | None, place: str) -> AddressRefusedError:
    return AddressRefusedError(
        f"{host} stands at a private address ({place}). If requests may go there, "
        "list the host in TIEOUT_PRIVATE_HOSTS."
    )


@contextmanager
def _opened(call: Call, until: float) -> Iterator[http.client.HTTPResponse]:
    """The response to a request, its body not yet read. Everything that takes too long is cut off at `until`."""
    parts = checked_url(call.url, call.only_hosts)
    if not all(_is_writable(text) for header in call.headers.items() for text in header):
        raise OutboundError("A header of the request holds characters that cannot be sent.")  # not which: it is secret
    places = _resolve(parts)
    connection = _connected(parts, places, until)
    sock = connection.sock
    # A timeout per read would let a server that sends a byte now and then hold us for ever.
    alarm = threading.Timer(max(until - time.monotonic(), 0.001), _cut_off, [sock])
    alarm.daemon = True
    alarm.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        target = parts.path or "/"
        connection.request(
            call.method,
            f"{target}?{parts.query}" if parts.query else target,
            body=call.body,
            headers={"User-Agent": "Tieout", "Accept-Encoding": "identity", "Connection": "close", **call.headers},
        )
        yield connection.getresponse()
        if time.monotonic() >= until:  # an answer without a length just ends when it is cut off
            raise TimeoutError
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= until:
            raise OutboundError(f"{parts.hostname} did not answer in time.") from error
        raise OutboundError(f"{parts.hostname} did not answer properly: {_in_words(error)}.") from error
    finally:
        alarm.cancel()
        connection.close()


def _connected(parts: SplitResult, places: list[Place], until: float) -> http.client.HTTPConnection:
    """A connection to the first of the resolved places that takes one, under the name that was asked for."""
    port = parts.port or PORTS[parts.scheme]
    reason = "it has no address"
    for family, place in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(max(until - time.monotonic(), 0.001))
        try:
            sock.connect((place, port))
        except OSError as error:
            sock.close()
            reason = _in_words(error)
            continue
        connection = http.client.HTTPConnection(parts.hostname or "", port)
        connection.default_port = PORTS[parts.scheme]  # the Host header names any other
        connection.sock = _secured(sock, parts) if parts.scheme == "https" else sock
        return connection
    raise OutboundError(f"{parts.hostname} cannot be reached: {reason}.")


def _secured(sock: socket.socket, parts: SplitResult) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=parts.hostname, do_handshake_on_connect=False)


def _cut_off(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which would take its reader's state away
    except OSError:
        pass  # it is over already


def _read(
    call: Call, response: http.client.HTTPResponse, max_bytes: int, into: BinaryIO | None, excerpt: bool
) -> Answer:
    body, read = bytearray(), 0
    while chunk := response.read(min(CHUNK, max_bytes + 1 - read)):
        read += len(chunk)
        if read > max_bytes and not excerpt:
            raise OutboundError(f"The answer is larger than the {max_bytes:,} bytes that are taken.")
        if into is None:
            body += chunk
        else:
            into.write(chunk)
        if read > max_bytes:
            break
    else:
        if response.length:  # http.client gives what came without a word
            raise http.client.IncompleteRead(bytes(body), response.length)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, bytes(body[:max_bytes]), call.url, read > max_bytes)


def _redirected(call: Call, target: str) -> Call:
    """The call to where an answer points; keys and cookies stay with the host they were given for."""
    url = urljoin(call.url, target)
    before, after = urlsplit(call.url), urlsplit(url)
    same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
    return replace(call, url=url, headers=call.headers if same else {})


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer breaks off"
    return str(getattr(error, "strerror", None) or error or type(error).__name__).rstrip(".").lower()
