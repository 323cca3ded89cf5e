"""E-mail against a real SMTP server (aiosmtpd): STARTTLS, a password, refusals, and a stranger's certificate."""

import email
import email.policy
import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from controller.adapters.notifiers.email import NOTIFIER, Email
from controller.core.topics import Message
from inventory.errors import OperatorError, RefusedError, TransportError

MESSAGE = Message(
    "d1", "2026-03-02T12:00:00Z", "hands", "RolloutNodeFailed", "node/berlin-1", "disk full\nsecond line"
)


class Box:
    """Keeps what comes; refuses one address for good and one for now."""

    def __init__(self):
        self.mails = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address.startswith("gone"):
            return "550 no such mailbox"
        if address.startswith("later"):
            return "451 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


def _only_ada(_server, _session, _envelope, _mechanism, data):
    fine = isinstance(data, LoginPassword) and data.password == b"right"
    return AuthResult(success=fine, handled=False)


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def server(box, server_tls):
    with socket.socket() as probe:  # the library asks the port it was told, so 0 won't do
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=server_tls,
        authenticator=_only_ada,
        auth_require_tls=True,
    )
    running.start()
    yield running
    running.stop()


def _settings(server, **changes):
    port = server.server.sockets[0].getsockname()[1]
    given = {"host": "localhost", "port": str(port), "from": "cto@example.org", "to": "ops@example.org"}
    return NOTIFIER.check({**given, **changes})


def test_a_mail_arrives_over_starttls(server, box, client_tls):
    Email(client_tls).send(
        _settings(server, user="ada", to="ops@example.org, b@example.org"), "right", MESSAGE
    )
    (mail,) = box.mails
    assert mail["Subject"] == "[cto] needs you: node/berlin-1"
    assert mail["Message-ID"] == "<d1@cto.invalid>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "disk full\nsecond line" in mail.get_content().replace("\r\n", "\n")


def test_a_subject_can_not_smuggle_a_header_in(server, box, client_tls):
    hostile = Message(
        "d2", MESSAGE.at, "hands", "x", "node/a\r\nBcc: evil@example.org", "\x1b[2J.\r\n.\r\nQUIT"
    )
    Email(client_tls).send(_settings(server), "", hostile)
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert "evil@example.org" in mail["Subject"]


@pytest.mark.parametrize(
    ("changes", "secret", "kind", "words"),
    [
        ({"user": "ada"}, "wrong", RefusedError, "535"),
        ({"to": "gone@example.org"}, "", RefusedError, "gone@example.org"),
        ({"to": "later@example.org"}, "", TransportError, "later"),
    ],
)
def test_what_the_server_refuses(server, client_tls, changes, secret, kind, words):
    with pytest.raises(kind, match=words):
        Email(client_tls).send(_settings(server, **changes), secret, MESSAGE)


def test_a_server_with_a_strange_certificate_gets_no_password(server, box):
    with pytest.raises(TransportError, match="SSLCertVerificationError"):
        Email().send(_settings(server, user="ada"), "right", MESSAGE)
    assert box.mails == []


def test_nobody_there(client_tls):
    settings = NOTIFIER.check({"host": "127.0.0.1", "port": "1", "from": "a@b.example", "to": "a@b.example"})
    with pytest.raises(TransportError, match="ConnectionRefusedError"):
        Email(client_tls).send(settings, "", MESSAGE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "host is missing"),
        ({"host": "h", "from": "a@b"}, "to is missing"),
        ({"host": "h", "from": "a@b", "to": "x y"}, "to: 'x y' is no address"),
        ({"host": "h", "from": "a@b", "to": "a@b\r\nBcc: c@d"}, "is no address"),
        ({"host": "h", "from": "a@b", "to": "a@b", "tls": "maybe"}, "tls can't be"),
        ({"host": "h", "from": "a@b", "to": "a@b", "port": "0"}, "port can't be"),
        ({"host": "h", "from": "a@b", "to": "a@b", "tls": "none", "user": "u"}, "in clear"),
    ],
)
def test_wrong_settings(settings, words):
    with pytest.raises(OperatorError, match=words):
        NOTIFIER.check(settings)
