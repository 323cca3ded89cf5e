"""One attempt at one controller: TLS under its pin, the proof, then verdicts as they come.

The certificate's name and date are not looked at: the key is the one that was pinned, or the attempt ends
before a word was said.
"""

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from inventory.errors import Unreachable
from iso.enroll.kept import Kept
from roles.enrollment.invitation import Invitation
from roles.enrollment.messages import MAX_BYTES, NONCE_BYTES, Verdict
from roles.enrollment.node import Node, NodeSide
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import Token

CONNECT, MESSAGE = 10.0, 30.0  # seconds
VERDICT = 60.0  # seconds; the controller says at least each quarter of it that we still wait
_GOODBYE = 2.0


async def attempt(
    place: Invitation,
    node: Node,
    token: Token,
    pin: bytes,
    kept: Kept,
    *,
    waiting: Callable[[str], None],
    local: str = "",
) -> Verdict:
    """The last verdict. `waiting` gets the words once the controller proved itself.

    Raises EnrollmentRefusedError, or Unreachable for everything that may be better the next time.
    """
    async with _connected(place, local) as (reader, writer):
        shown = _spki(writer)
        side = NodeSide(node, token, pin=pin, shown=shown, nonce=os.urandom(NONCE_BYTES))
        request = side.request(await _receive(reader, place, MESSAGE))
        kept.remember(side.session, side.words)
        await _send(writer, request, place)
        side.conclude(await _receive(reader, place, MESSAGE))
        while True:
            verdict = side.verdict(await _receive(reader, place, VERDICT))
            words = kept.words(verdict.session)
            if not words:
                raise EnrollmentRefusedError(
                    "answer",
                    "the controller speaks of an attempt that was not ours",
                    fix="see `cto enroll list`: another machine may use the same node key",
                )
            if verdict.state != "pending":
                return verdict
            waiting(words)


@asynccontextmanager
async def _connected(
    place: Invitation, local: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin is looked at instead
    try:
        async with asyncio.timeout(CONNECT):
            reader, writer = await asyncio.open_connection(
                place.host,
                place.port,
                ssl=context,
                server_hostname="",
                limit=MAX_BYTES + 1,
                local_addr=(local, 0) if local else None,
            )
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise _lost(place, f"no connection ({error or 'no answer'})") from error
    try:
        yield reader, writer
    finally:
        writer.close()
        try:
            async with asyncio.timeout(_GOODBYE):
                await writer.wait_closed()
        except (OSError, TimeoutError, ssl.SSLError):
            writer.transport.abort()


def _spki(writer: asyncio.StreamWriter) -> bytes:
    """SHA-256 of the key that the controller showed; of nothing for a certificate that can't be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    shown = writer.get_extra_info("ssl_object").getpeercert(True) or b""
    try:
        public = x509.load_der_x509_certificate(shown).public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        spki = b""
    return hashlib.sha256(spki).digest()


async def _send(writer: asyncio.StreamWriter, message: bytes, place: Invitation) -> None:
    writer.write(message + b"\n")
    try:
        async with asyncio.timeout(MESSAGE):
            await writer.drain()
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise _lost(place, "the connection broke") from error


async def _receive(reader: asyncio.StreamReader, place: Invitation, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            line = await reader.readuntil(b"\n")
    except TimeoutError as error:
        raise _lost(place, f"it said nothing for {seconds:g} s") from error
    except asyncio.LimitOverrunError as error:
        raise _lost(place, "it said too much at once") from error
    except (asyncio.IncompleteReadError, OSError, ssl.SSLError) as error:
        raise _lost(place, "the connection broke; it may be busy, or closed") from error
    return line[:-1]


def _lost(place: Invitation, what: str) -> Unreachable:
    return Unreachable(
        what, where=place.endpoint, fix="is enrolment open there? cto enroll open; the machine tries again"
    )
