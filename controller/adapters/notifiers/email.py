"""Tells people by e-mail (SMTP, RFC 5321). One message to one server; keeps no queue and tries once."""

import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from controller.core.topics import Message
from inventory.errors import OperatorError, RefusedError, TransportError

_TIMEOUT = 10  # seconds for each answer
_PORTS = {"starttls": "587", "tls": "465", "none": "25"}


@dataclass(frozen=True, slots=True)
class Email:
    """`tls_context`: tests bring one that knows their server."""

    tls_context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    kind: str = "email"
    secret: str = "the password for the server"  # noqa: S105 - words, not a secret
    needs_secret: bool = False
    fields: Mapping[str, str] = field(
        default_factory=lambda: {
            "host": "the mail server",
            "port": "its port (default: 587, with tls=tls 465, with tls=none 25)",
            "tls": "starttls (default), tls, or none",
            "user": "the account, if the server wants one; its password is asked for",
            "from": "who it comes from",
            "to": "who gets it; several with commas",
        }
    )

    def check(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        found = {"tls": "starttls", "user": "", **settings}
        for name in ("host", "from", "to"):
            if not found.get(name):
                raise OperatorError(f"{name} is missing", fix=f"give --set {name}=…: {self.fields[name]}")
        if found["tls"] not in _PORTS:
            raise OperatorError(f"tls can't be {found['tls']!r}", fix=f"one of {', '.join(_PORTS)}")
        found.setdefault("port", _PORTS[found["tls"]])
        if not (found["port"].isdecimal() and 0 < int(found["port"]) < 65536):
            raise OperatorError(f"port can't be {found['port']!r}", fix="a number up to 65535")
        if found["user"] and found["tls"] == "none":
            raise OperatorError("a password must not travel in clear", fix="set tls=starttls or tls=tls")
        for name in ("from", "to"):
            for text in found[name].split(","):
                _address(name, text)
        return found

    def send(self, settings: Mapping[str, str], secret: str, message: Message) -> None:
        mail = _composed(settings, message)
        where = f"{settings['host']}:{settings['port']}"
        try:
            with self._connected(settings) as server:
                if settings["user"]:
                    server.login(settings["user"], secret)
                refused = server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            told = f"the mail server said {error.smtp_code}"
            if 500 <= error.smtp_code < 600:
                raise RefusedError(told, where=where, fix="check the account and the addresses") from error
            raise TransportError(told, where=where, fix="it is tried again") from error
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except (OSError, smtplib.SMTPException) as error:
            what = f"the mail server can't be used: {type(error).__name__}"
            raise TransportError(what, where=where, fix="check host, port and tls") from error
        _judge(refused, where)

    def _connected(self, settings: Mapping[str, str]) -> smtplib.SMTP:
        host, port = settings["host"], int(settings["port"])
        if settings["tls"] == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=self.tls_context())
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT)
        if settings["tls"] == "starttls":
            try:
                server.starttls(context=self.tls_context())
            except BaseException:
                server.close()
                raise
        return server


def _judge(refused: Mapping[str, tuple[int, bytes]], where: str) -> None:
    """Of several receivers some may be refused; the others have it, so it is not sent again for those."""
    if refused and all(code < 500 for code, _ in refused.values()):
        raise TransportError("the mail server takes it later", where=where, fix="it is tried again")
    if refused:
        what = f"the mail server does not take it for {', '.join(sorted(refused))}"
        raise RefusedError(what, where=where, fix="check `to`")


def _composed(settings: Mapping[str, str], message: Message) -> EmailMessage:
    """The library refuses line breaks in headers; `Message-ID` is the same at each try."""
    from datetime import datetime

    mail = EmailMessage()
    mail["Subject"] = " ".join(message.title.split())
    mail["From"] = _address("from", settings["from"])
    mail["To"] = [_address("to", text) for text in settings["to"].split(",")]
    mail["Date"] = format_datetime(datetime.fromisoformat(message.at))
    mail["Message-ID"] = f"<{message.id}@cto.invalid>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office comes back
    mail.set_content(f"{message.text}\n\n{message.subject}, {message.at}\n")
    return mail


def _address(name: str, text: str) -> Address:
    try:
        return Address(addr_spec=text.strip())
    except (ValueError, IndexError) as error:
        raise OperatorError(
            f"{name}: {text.strip()[:60]!r} is no address", fix="as in ops@example.org"
        ) from error


NOTIFIER = Email()
