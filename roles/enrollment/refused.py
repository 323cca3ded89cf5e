"""Why an enrolment was refused: one reason for the audit log, nothing of it for the other side."""

from typing import ClassVar, Literal

from inventory.errors import RefusedError

Reason = Literal[
    "malformed",  # not a message of this protocol, or not in its one form
    "order",  # a message at the wrong time, or a second one
    "pin",  # the controller's TLS key is not the pinned one
    "key",  # the machine's key is not a good Ed25519 key
    "token",  # there is no such token
    "guess",  # the machine is who it says, and its proof of the token is wrong
    "relay",  # neither proof nor signature fit: made for another connection, or changed on the way
    "signature",  # the machine does not have the key it shows
    "answer",  # the controller does not know the token
    "declined",  # the controller said no
]


class EnrollmentRefusedError(RefusedError):
    """`reason` goes to the audit log of this side; the peer is only ever told "refused"."""

    slug: ClassVar[str] = "enrollment-refused"

    def __init__(self, reason: Reason, what: str, *, fix: str) -> None:
        self.reason = reason
        super().__init__(what, where="enrolment", fix=fix)
