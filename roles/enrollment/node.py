"""The machine's side of enrolment: challenge in, request out, answer and verdicts in, six words out.

Sends nothing itself. The caller makes the TLS connection and says which key the controller showed there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from roles.enrollment import proof
from roles.enrollment.messages import Challenge, Pending, Request, Verdict, decode, encode
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import Token
from roles.enrollment.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Node:
    """What the machine is. It made both keys itself; only their public halves leave it."""

    id: str
    seed: bytes = field(repr=False)  # of its Ed25519 node key, 32 bytes
    ssh_key: bytes  # the wire form of its SSH host key
    hardware: Mapping[str, str]


class NodeSide:
    """One attempt on one connection; another attempt is another object with another nonce."""

    def __init__(self, node: Node, token: Token, *, pin: bytes, shown: bytes, nonce: bytes) -> None:
        """`pin`: SHA-256 of the SPKI that is expected; `shown`: of the one on this connection."""
        if not proof.same(pin, shown):
            raise EnrollmentRefusedError(
                "pin",
                "this controller shows another TLS key than the pinned one",
                fix="check the address; if the controller was set up anew, make a new image and token",
            )
        self._node, self._token, self._shown, self._nonce = node, token, shown, nonce
        self._key = proof.derive_key(token.secret)
        self._transcript: Transcript | None = None
        self._over = self._heard = False

    def request(self, challenge: bytes) -> bytes:
        """The request to send, for the challenge that came."""
        if self._transcript is not None or self._over:
            raise _order()
        self._over = True  # until all went well
        message = decode(challenge)
        if not isinstance(message, Challenge):
            raise _order()
        node = self._node
        transcript = Transcript(
            token_id=self._token.id,
            controller_id=message.controller_id,
            node_id=node.id,
            controller_nonce=message.nonce,
            node_nonce=self._nonce,
            spki_sha256=self._shown,
            node_key=proof.public_key(node.seed),
            ssh_key=node.ssh_key,
            hardware=dict(node.hardware),
        )
        bound = transcript.to_bytes()
        made = encode(
            Request(
                token_id=transcript.token_id,
                node_id=node.id,
                node_key=transcript.node_key,
                ssh_key=node.ssh_key,
                nonce=self._nonce,
                hardware=transcript.hardware,
                mac=proof.mac(self._key, b"N", bound),
                signature=proof.sign(node.seed, bound),
            )
        )
        decode(made)  # what we send is held to the same rules: a serial number may be anything
        self._transcript, self._over = transcript, False
        return made

    def conclude(self, answer: bytes) -> str:
        """`ENROLL` and six words for the console, once the controller has proved that it knows the token."""
        transcript = self._transcript
        if transcript is None or self._over or self._heard:
            raise _order()
        self._over = True
        message = decode(answer)
        if not isinstance(message, Pending):
            raise EnrollmentRefusedError(
                "declined",
                "the controller refused this machine",
                fix="see the controller's audit log for why; a token may be used up, expired or revoked",
            )
        if not proof.same(message.mac, proof.mac(self._key, b"C", transcript.to_bytes())):
            raise EnrollmentRefusedError(
                "answer",
                "the controller does not know the token",
                fix="check that this is your controller before you try again",
            )
        self._over, self._heard = False, True
        return transcript.words()

    @property
    def session(self) -> bytes:
        """What this attempt is called, once the request is made: a later verdict may be about it."""
        if self._transcript is None:
            raise _order()
        return self._transcript.session()

    @property
    def words(self) -> str:
        """Of this attempt, once the request is made; to be shown after `conclude`, or a verdict on it."""
        if self._transcript is None:
            raise _order()
        return self._transcript.words()

    def verdict(self, data: bytes) -> Verdict:
        """What was decided so far; the last one is not "pending"."""
        transcript = self._transcript
        if transcript is None or self._over or not self._heard:
            raise _order()
        self._over = True
        message = decode(data)
        if not isinstance(message, Verdict):
            raise _order()
        wanted = proof.verdict_mac(
            self._key, transcript.to_bytes(), message.state, message.name, message.session
        )
        if not proof.same(message.mac, wanted):
            raise EnrollmentRefusedError(
                "answer",
                "a verdict that does not come from the controller",
                fix="check that this is your controller before you try again",
            )
        self._over = message.state != "pending"
        return message


def _order() -> EnrollmentRefusedError:
    return EnrollmentRefusedError(
        "order", "a message of enrolment at the wrong time", fix="begin again on a new connection"
    )
