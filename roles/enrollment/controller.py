"""The controller's side of enrolment: challenge out, request in, proof checked, answer and verdicts out.

Looks nothing up and uses up no token: between `prove` and `accept` the caller consumes it in the store.
"""

from dataclasses import dataclass, field
from typing import Literal

from roles.enrollment import proof
from roles.enrollment.messages import Challenge, Pending, Refused, Request, State, Verdict, decode, encode
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.transcript import Transcript

REFUSED = encode(Refused())  # what the machine is told, whatever the reason
_NOBODY = bytes(16)  # stands in for the secret of a token that does not exist


@dataclass(frozen=True, slots=True)
class Proved:
    """The machine has the token and the private half of its node key. Not approved by anybody yet."""

    request: Request = field(repr=False)
    transcript: Transcript
    words: str


class ControllerSide:
    """One attempt on one connection: challenge, claim, prove, accept, each once and in this order; then
    verdicts, as many as it takes.
    """

    def __init__(self, controller_id: str, *, spki_sha256: bytes, nonce: bytes) -> None:
        self._id, self._spki, self._nonce = controller_id, spki_sha256, nonce
        self._next: Literal["challenge", "claim", "prove", "accept", "verdict", "over"] = "challenge"
        self._request: Request | None = None
        self._answer, self._key, self._bound = b"", b"", b""

    def challenge(self) -> bytes:
        self._at("challenge")
        self._next = "claim"
        return encode(Challenge(self._id, self._nonce))

    def claim(self, data: bytes) -> Request:
        """What the machine claims, unproved: good for looking its token up and for nothing else."""
        self._at("claim")
        message = decode(data)
        if not isinstance(message, Request):
            raise _order()
        self._request, self._next = message, "prove"
        return message

    def prove(self, secret: bytes | None) -> Proved:
        """`secret` of the claimed token, or None if there is no such token; both take the same work."""
        self._at("prove")
        request = self._request
        if request is None:
            raise _order()
        transcript = self._transcript(request)
        bound = transcript.to_bytes()
        key = proof.derive_key(_NOBODY if secret is None else secret)
        known = proof.same(request.mac, proof.mac(key, b"N", bound)) and secret is not None
        good = proof.good_key(request.node_key)
        signed = proof.signed(request.node_key, bound, request.signature)
        if not known:
            raise _unproved(there_is=secret is not None, signed=signed)
        if not good:
            raise EnrollmentRefusedError(
                "key",
                "the machine's key is not a good Ed25519 key",
                fix="look at this machine; start it anew",
            )
        if not signed:
            raise EnrollmentRefusedError(
                "signature",
                "the machine does not have the key that it shows",
                fix="look at this machine; revoke the token, which somebody else may know",
            )
        self._key, self._bound = key, bound
        self._answer = encode(Pending(proof.mac(key, b"C", bound)))
        self._next = "accept"
        return Proved(request, transcript, transcript.words())

    def accept(self) -> bytes:
        """The answer to send, after the token was consumed."""
        self._at("accept")
        self._next = "verdict"
        return self._answer

    def verdict(self, state: State, *, session: bytes, name: str = "") -> bytes:
        """What was decided so far. Nothing follows one that is not "pending"."""
        self._at("verdict")
        if state == "pending":
            self._next = "verdict"
        mac = proof.verdict_mac(self._key, self._bound, state, name, session)
        return encode(Verdict(state, name, session, mac))

    def _transcript(self, request: Request) -> Transcript:
        return Transcript(
            token_id=request.token_id,
            controller_id=self._id,
            node_id=request.node_id,
            controller_nonce=self._nonce,
            node_nonce=request.nonce,
            spki_sha256=self._spki,
            node_key=request.node_key,
            ssh_key=request.ssh_key,
            hardware=request.hardware,
        )

    def _at(self, step: str) -> None:
        """Whatever goes wrong from here on ends the attempt."""
        now, self._next = self._next, "over"
        if now != step:
            raise _order()


def _unproved(*, there_is: bool, signed: bool) -> EnrollmentRefusedError:
    """A stranger who tries secrets signs what we both saw. A request made for another connection does not."""
    if not there_is:
        return EnrollmentRefusedError(
            "token", "there is no such token", fix="make a token with `cto token create`"
        )
    if signed:
        return EnrollmentRefusedError(
            "guess",
            "a wrong proof of the token: somebody guesses, or the token was mistyped",
            fix="check the token on the machine; if it is right there, somebody else tries",
        )
    return EnrollmentRefusedError(
        "relay",
        "a proof that was made for another connection: somebody stands in between, or replays",
        fix="find out whose address this is; the machine itself refuses a controller with another key",
    )


def _order() -> EnrollmentRefusedError:
    return EnrollmentRefusedError(
        "order",
        "a message of enrolment at the wrong time",
        fix="the machine begins again on a new connection",
    )
