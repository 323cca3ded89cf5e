"""`cto serve` as a server that strangers reach: what TLS, methods and requests it takes, and how it ends while watched."""

import contextlib
import json
import signal
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from tests.unit.cli.test_serving import start, token

WAIT = 90  # seconds; only a broken test waits that long
TLS = ("--listen", "0.0.0.0", "--name", "127.0.0.1")


@pytest.fixture
def port(home, fleet):
    """Of one on this computer; `port.process` is it."""
    process = start(home, "serve", "--port", "0", "--output", "json")
    yield process, urlsplit(json.loads(process.stdout.readline())["url"]).port
    process.kill()
    process.communicate()


@pytest.fixture
def tls_port(home, fleet):
    process = start(home, "serve", *TLS, "--port", "0", "--output", "json")
    yield urlsplit(json.loads(process.stdout.readline())["url"]).port
    process.kill()
    process.communicate()


def said(port, request):
    """Everything that is answered to these bytes until the server closes, or falls silent for a moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as channel:
        channel.sendall(request)
        found = channel.recv(65536)
        channel.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while more := channel.recv(65536):
                found += more
    return found


def handshake(port, **limits):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "ciphers" in limits:
        context.set_ciphers(limits["ciphers"])
    for name in ("minimum_version", "maximum_version"):
        if name in limits:
            setattr(context, name, limits[name])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT) as plain,
        context.wrap_socket(plain) as channel,
    ):
        return channel.version(), channel.cipher()[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_only_ciphers_with_forward_secrecy_and_authenticated_encryption(tls_port):
    old = ssl.TLSVersion.TLSv1_2
    assert handshake(tls_port)[0] == "TLSv1.3"
    assert "GCM" in handshake(tls_port, maximum_version=old)[1]
    for weak in ("ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES256-SHA:AES128-GCM-SHA256"):
        with pytest.raises(ssl.SSLError):
            handshake(tls_port, maximum_version=old, ciphers=f"{weak}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        handshake(
            tls_port,
            minimum_version=ssl.TLSVersion.TLSv1,
            maximum_version=ssl.TLSVersion.TLSv1_1,
            ciphers="ALL:@SECLEVEL=0",
        )


def test_no_plain_http_where_there_is_tls(tls_port):
    """Neither an answer nor a redirect: who sends a token there learns it at once."""
    with socket.create_connection(("127.0.0.1", tls_port), timeout=WAIT) as channel:
        channel.sendall(b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not channel.recv(100).startswith(b"HTTP")


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PROPFIND", b"track"])
def test_methods_that_nothing_needs(port, method):
    answer = said(port[1], method + b" /login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Canary: secret\r\n\r\n")
    assert answer.split(b" ")[1] in (b"400", b"405")
    assert b"secret" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 30\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: +4\r\n",
    ],
)
def test_a_request_whose_end_is_not_clear_hides_no_second_one(port, headers):
    """Behind a proxy that reads it otherwise, its rest would be somebody else's request (RFC 9112, 6.3)."""
    hidden = b"GET /static/fleet.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    first = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + b"\r\n0\r\n\r\n"
    answer = said(port[1], first + hidden)
    assert b"text/css" not in answer or b"Transfer-Encoding: chunked" in headers
    assert answer.startswith(b"HTTP/1.1 4")


def test_it_ends_while_people_watch(port, home):
    """systemd's signal with three open event streams and a request half sent: all are closed, none keeps it."""
    process, number = port
    line = f"Host: 127.0.0.1:{number}\r\nAuthorization: Bearer {token(home)}\r\n\r\n"
    watching = [socket.create_connection(("127.0.0.1", number), timeout=WAIT) for _ in range(4)]
    for channel in watching[:3]:
        channel.sendall(b"GET /api/v1/live HTTP/1.1\r\n" + line.encode())
        assert channel.recv(4096).startswith(b"HTTP/1.1 200")
    watching[3].sendall(b"POST /login HTTP/1.1\r\nContent-Length: 100\r\n" + line.encode() + b"name=")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=WAIT)
    assert (process.returncode, err) == (0, "")
    for channel in watching:
        with channel, contextlib.suppress(ConnectionError):
            while channel.recv(4096):
                pass
