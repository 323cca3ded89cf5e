"""The webhook against a real HTTPS server: what arrives, how a receiver checks it, where it never goes."""

import hashlib
import hmac
import http.server
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.notifiers.webhook import NOTIFIER, Webhook, signature
from controller.core.topics import Message
from inventory.errors import OperatorError, RefusedError, TransportError

MESSAGE = Message("d1", "2026-03-02T12:00:00Z", "hands", "RolloutNodeFailed", "node/berlin-1", "disk full")
KEY = "0123456789abcdef"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        status = int(self.path.rpartition("/")[2] or 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "https://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def receiver(server_tls):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.socket = server_tls.wrap_socket(server.socket, server_side=True)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _hook(client_tls, refused=lambda _address: ""):
    return Webhook(refused, lambda: 1_000_000.0, client_tls)


def _url(receiver, status=200):
    return {"url": f"https://localhost:{receiver.server_port}/in/{status}"}


def test_what_arrives_can_be_checked(receiver, client_tls):
    _hook(client_tls).send(_url(receiver), KEY, MESSAGE)
    ((headers, body),) = receiver.got
    made = dict(part.split("=") for part in headers["Cto-Signature"].split(","))
    expected = hmac.new(KEY.encode(), f"{made['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert (made["t"], made["v1"]) == ("1000000", expected)
    assert headers["Cto-Delivery"] == "d1"
    assert json.loads(body) == {
        "id": "d1",
        "at": "2026-03-02T12:00:00Z",
        "topic": "hands",
        "kind": "RolloutNodeFailed",
        "subject": "node/berlin-1",
        "text": "disk full",
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, None),
        (500, TransportError),
        (503, TransportError),
        (429, TransportError),
        (404, RefusedError),
        (302, RefusedError),
    ],
)
def test_what_the_answer_means(receiver, client_tls, status, kind):
    if kind is None:
        _hook(client_tls).send(_url(receiver, status), KEY, MESSAGE)
    else:
        with pytest.raises(kind, match=str(status)):
            _hook(client_tls).send(_url(receiver, status), KEY, MESSAGE)
    assert len(receiver.got) == 1  # a redirect is not followed


def test_this_machine_is_never_asked(receiver, client_tls):
    with pytest.raises(RefusedError, match="loopback"):
        Webhook(tls_context=client_tls).send(_url(receiver), KEY, MESSAGE)
    assert receiver.got == []


def test_a_strange_certificate(receiver):
    with pytest.raises(TransportError, match="SSLCertVerificationError"):
        Webhook(lambda _address: "").send(_url(receiver), KEY, MESSAGE)
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "", "http://a.example/", "ftp://a.example/", "https://", "https:///x", "https://u:p@a.example/",
        "https://a.example/?token=1", "https://a.example/#x", "https://a.example:0/", "https://a.example:99999/",
        "https://a.example/\r\nX: y", "https://ä.example/", "//a.example/",
    ],
)  # fmt: skip
def test_wrong_addresses(url):
    with pytest.raises(OperatorError):
        NOTIFIER.check({"url": url})


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(0, 2**33), st.integers(0, 2**33))
def test_a_signature_is_of_one_body_at_one_time(one, other, first, second):
    same = one == other and first == second
    assert (signature(b"k", one, first) == signature(b"k", other, second)) is same
