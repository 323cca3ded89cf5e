"""The desk where machines ask: one conversation for each connection, from the challenge to the verdict.

The machine is told one thing in all cases of refusal; why, is for the audit log and for `cto enroll list`.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict

from controller.app.enrollment import decide
from controller.app.enrollment.ports import Identity, Peer, PeerFault
from controller.app.services import Services
from controller.core.enrollment.refusals import Refusal, refusal
from controller.store.enrolling import Claim
from inventory.errors import OperatorError
from inventory.openssh import line_of_blob
from roles.enrollment.controller import REFUSED, ControllerSide, Proved
from roles.enrollment.hardware import ssh_port
from roles.enrollment.messages import NONCE_BYTES, State
from roles.enrollment.refused import EnrollmentRefusedError
from web.ports import EnrollmentView

LOOK = 0.5  # seconds between looks at what was decided
HEARTBEAT = 15.0  # seconds after which a machine hears that it still waits
_REMEMBERED = 4096  # messages, to know one that comes again


class Desk:
    """Shared by all connections of one opening. Used on one event loop."""

    def __init__(self, services: Services, identity: Identity) -> None:
        self._services, self._identity = services, identity
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._attended: dict[str, asyncio.Task[None]] = {}

    async def attend(self, peer: Peer) -> None:
        """Until the verdict is told, or the connection ends."""
        side = ControllerSide(
            self._services.store.controller_id(),
            spki_sha256=self._identity.pin,
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        try:
            await peer.send(side.challenge())
            data = await peer.receive()
        except PeerFault as fault:
            self.refused("left" if fault.fault == "gone" else fault.fault, peer.address)
            return
        answer = self._judge(side, data, peer.address)
        if isinstance(answer, Refusal):
            await peer.send(REFUSED)
            return
        peer.settled()
        await peer.send(side.accept())
        await self._tell(side, peer, answer)

    def refused(self, reason: str, address: str, detail: str = "", *, times: int = 1) -> None:
        """Of a connection that never came to a request."""
        self._note(refusal(reason, detail=detail), address, "", times)

    def _note(self, found: Refusal, address: str, token: str, times: int = 1) -> Refusal:
        self._services.store.refuse_enrollment(
            found.reason, address=address, token=token, what=found.what, fix=found.fix, times=times
        )
        return found

    def _judge(self, side: ControllerSide, data: bytes, address: str) -> EnrollmentView | Refusal:
        store, token = self._services.store, ""
        request = hashlib.sha256(data).hexdigest()
        try:
            claimed = side.claim(data)
            token = claimed.token_id
            proved = self._proved(side, token)
            claim = _claim(proved, request, address)
        except EnrollmentRefusedError as error:
            detail = error.what if error.reason == "malformed" else ""
            reason = "replay" if error.reason in ("relay", "token") and self._again(request) else error.reason
            return self._note(refusal(reason, detail=detail), address, token)
        finally:
            self._remember(request)
        answer = store.enroll(claim, now=self._services.clock.now())
        if answer.refused:
            return self._note(refusal(answer.refused, other=answer.other), address, token)
        if not answer.resumed:
            decide.by_registration(self._services, answer.id)
        found = store.enrollment(answer.id)
        return found if found is not None else self._note(refusal("order"), address, token)

    def _proved(self, side: ControllerSide, token: str) -> Proved:
        """A token's secret is looked at whatever became of the token, so that one can say which it was."""
        secret = self._services.store.proof_secret(token)
        return side.prove(bytes(secret) if secret is not None else None)

    def _again(self, request: str) -> bool:
        return request in self._heard or self._services.store.replayed(request)

    def _remember(self, request: str) -> None:
        self._heard[request] = None
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)

    async def _tell(self, side: ControllerSide, peer: Peer, row: EnrollmentView) -> None:
        """Verdicts until the last. A machine that comes again takes the place of its own older connection."""
        task = asyncio.current_task()
        older = self._attended.get(row.id)
        if older is not None:
            older.cancel()
        if task is not None:
            self._attended[row.id] = task
        try:
            await self._verdicts(side, peer, row.id, bytes.fromhex(row.session))
        finally:
            if self._attended.get(row.id) is task:
                del self._attended[row.id]

    async def _verdicts(self, side: ControllerSide, peer: Peer, enrollment: str, session: bytes) -> None:
        clock, told = self._services.clock, float("-inf")
        while True:
            row = self._services.store.enrollment(enrollment)
            state = _state(row)
            if state != "pending" or clock.monotonic() - told >= HEARTBEAT:
                name = row.node if row and state == "approved" else ""
                await peer.send(side.verdict(state, session=session, name=name))
                self._services.store.seen_enrollment(enrollment)
                told = clock.monotonic()
            if state != "pending" or not await peer.silent(LOOK):
                return


def _state(row: EnrollmentView | None) -> State:
    if row is None or row.state not in ("pending", "approved"):
        return "rejected"
    return "approved" if row.state == "approved" else "pending"


def _claim(proved: Proved, request: str, address: str) -> Claim:
    said = proved.request
    try:
        ssh_key = line_of_blob(said.ssh_key)
    except OperatorError:
        raise EnrollmentRefusedError("key", "its SSH host key is no good key", fix="start it anew") from None
    return Claim(
        token=said.token_id,
        claimed=said.node_id,
        node_key=said.node_key.hex(),
        ssh_key=ssh_key,
        ssh_port=ssh_port(said.hardware),
        hardware=dict(said.hardware),
        words=proved.words,
        session=proved.transcript.session().hex(),
        request=request,
        address=address,
    )
