"""Hypothesis drives tokens, machines, attackers and the clock against the real store and the real protocol.

A model beside it says who may be in; the store must never let in anybody else, however the steps fall.
"""

import dataclasses
import hashlib
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from controller.store import Store
from controller.store.enrolling import Claim
from controller.store.home import Home
from inventory.errors import OperatorError
from inventory.openssh import line_of_blob
from roles.enrollment.controller import ControllerSide
from roles.enrollment.node import Node, NodeSide
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import Token
from tests.unit.enrollment.conftest import fleet

SPKI, EVIL = bytes([7]) * 32, bytes([8]) * 32
SSH = bytes.fromhex("0000000b7373682d6564323535313900000020")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # each example writes a store of its own
NUMBERS = st.integers(0, 3)


@dataclasses.dataclass
class Model:
    """What must be true of one token."""

    token: Token
    uses: int
    expires: datetime
    revoked: bool = False
    taken: int = 0


class Enrolment(RuleBasedStateMachine):
    tokens = Bundle("tokens")
    recorded = Bundle("recorded")

    def __init__(self):
        super().__init__()
        self.at = datetime(2026, 11, 25, 10, tzinfo=UTC)
        self.folder = Path(tempfile.mkdtemp(prefix="cto-enroll-", dir=MEMORY))
        self.count = 0
        self.store = Store.open(Home(self.folder / "home"), now=lambda: self.at, new_id=self.fresh)
        self.store.declare(fleet(*((f"w-{n}", "worker", {}) for n in range(4))), actor="ada")
        self.models: dict[str, Model] = {}
        self.let_in: dict[str, tuple[str, bytes]] = {}  # enrolment → (token, node seed)
        self.decided: dict[str, str] = {}
        self.pinned: dict[str, str] = {}

    def fresh(self):
        self.count += 1
        return f"{self.count:016x}"

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(target=tokens, uses=st.integers(1, 2), hours=st.integers(1, 3))
    def token(self, uses, hours):
        made = Token.make(hashlib.sha256(self.fresh().encode()).digest()[:23])
        self.store.create_token(
            made, site="berlin", role="worker", uses=uses, life=timedelta(hours=hours), actor="ada"
        )
        self.models[made.id] = Model(made, uses, self.at + timedelta(hours=hours))
        return made

    @rule(token=tokens)
    def revoke(self, token):
        self.store.revoke_token(token.id, actor="ada")
        self.models[token.id].revoked = True

    @rule(minutes=st.integers(1, 90))
    def wait(self, minutes):
        self.at += timedelta(minutes=minutes)

    @rule(target=recorded, token=tokens, seed=NUMBERS, hardware=NUMBERS)
    def ask(self, token, seed, hardware):
        """An honest machine, perhaps again; its request is what an attacker could record."""
        request, answer = self.talk(token, seed, hardware)
        model = self.models[token.id]
        node = bytes([seed + 1]) * 32
        mine = [e for e, (t, s) in self.let_in.items() if t == token.id and s == node]
        if answer.id and answer.resumed:
            assert mine, "only who is in can come again"
            assert answer.id in mine
            if self.decided[answer.id] == "expired":
                assert not model.revoked
                assert self.at < model.expires
                self.decided[answer.id] = "pending"
        elif answer.id:
            assert not model.revoked
            assert self.at < model.expires
            assert model.taken < model.uses
            model.taken += 1
            self.let_in[answer.id] = (token.id, node)
            self.decided[answer.id] = "pending"
        else:
            assert answer.refused in {"revoked", "expired", "used", "reuse", "changed-keys"}
            room = not model.revoked and self.at < model.expires and model.taken < model.uses
            assert not room or answer.refused in {"changed-keys", "used"}
        return request

    @rule(request=recorded)
    def replay(self, request):
        side = self.side()
        side.challenge()
        side.claim(request)
        self.refused(side, self.claimed_secret(request), {"relay", "token"})

    @rule(token=tokens, guess=st.binary(min_size=16, max_size=16))
    def guess(self, token, guess):
        if guess != token.secret:
            side = self.side()
            side.claim(self.node(Token(token.id, guess), 9, 9).request(side.challenge()))
            self.refused(side, token.secret, {"guess"})

    @rule(token=tokens, seed=NUMBERS)
    def relay(self, token, seed):
        """The machine saw another TLS key than ours."""
        side = self.side()
        side.claim(self.node(token, seed, 0, shown=EVIL).request(side.challenge()))
        self.refused(side, token.secret, {"relay"})

    @rule(node=NUMBERS, data=st.data())
    def approve(self, node, data):
        waiting = sorted(e for e, state in self.decided.items() if state == "pending")
        if not waiting:
            return
        chosen = data.draw(st.sampled_from(waiting))
        row = self.store.enrollment(chosen)
        try:
            self.store.approve_enrollment(
                chosen, node=f"w-{node}", address=row.address, port=22, user="root", jump="", actor="ada",
                reason="words",
            )  # fmt: skip
        except OperatorError:
            assert self.models[row.token].revoked or f"w-{node}" in self.pinned
        else:
            assert self.pinned.get(f"w-{node}", row.ssh_key) == row.ssh_key, "a pin was replaced"
            self.decided[chosen] = "approved"
            self.pinned[f"w-{node}"] = row.ssh_key

    @rule(data=st.data(), again=st.booleans())
    def reject(self, data, again):
        waiting = sorted(e for e, state in self.decided.items() if state in ("pending", "expired"))
        if waiting:
            chosen = data.draw(st.sampled_from(waiting))
            self.store.reject_enrollment(chosen, actor="ada", reason="no", again=again)
            self.decided[chosen] = "rejected"
            self.models[self.let_in[chosen][0]].taken -= again

    @rule()
    def expire(self):
        """Nobody was heard of for long."""
        waiting = [e for e, state in self.decided.items() if state == "pending"]
        assert self.store.expire_enrollments(self.at + timedelta(seconds=1)) == len(waiting)
        self.decided.update(dict.fromkeys(waiting, "expired"))

    @rule()
    def restart(self):
        self.store.close()
        self.store = Store.open(Home(self.folder / "home"), now=lambda: self.at, new_id=self.fresh)

    @invariant()
    def what_is_kept_is_what_was_allowed(self):
        rows = {row.id: row for row in self.store.enrollments()}
        assert {e: row.state for e, row in rows.items()} == self.decided
        for token in self.store.tokens():
            model = self.models[token.id]
            assert token.uses == model.uses - model.taken
        nodes = {node.name: node.host_key for node in self.store.nodes() if node.host_key}
        assert nodes == self.pinned
        for row in rows.values():
            assert row.token == self.let_in[row.id][0]

    # --- the protocol

    def side(self):
        return ControllerSide("ctl", spki_sha256=SPKI, nonce=hashlib.sha256(self.fresh().encode()).digest())

    def node(self, token, seed, hardware, shown=SPKI):
        who = Node("cto-1", bytes([seed + 1]) * 32, SSH + bytes([seed]) * 32, {"serial": f"S-{hardware}"})
        nonce = hashlib.sha256(self.fresh().encode()).digest()
        return NodeSide(who, token, pin=shown, shown=shown, nonce=nonce)

    def talk(self, token, seed, hardware):
        ours, theirs = self.side(), self.node(token, seed, hardware)
        request = theirs.request(ours.challenge())
        said = ours.claim(request)
        proved = ours.prove(bytes(self.store.proof_secret(said.token_id)))
        claim = Claim(
            token=said.token_id,
            claimed=said.node_id,
            node_key=said.node_key.hex(),
            ssh_key=line_of_blob(said.ssh_key),
            ssh_port=22,
            hardware=said.hardware,
            words=proved.words,
            session=proved.transcript.session().hex(),
            request=hashlib.sha256(request).hexdigest(),
            address="10.0.0.9",
        )
        return request, self.store.enroll(claim, now=self.at)

    def claimed_secret(self, request):
        from roles.enrollment.messages import decode

        return bytes(self.store.proof_secret(decode(request).token_id))

    @staticmethod
    def refused(side, secret, reasons):
        with pytest.raises(EnrollmentRefusedError) as error:
            side.prove(secret)
        assert error.value.reason in reasons


Enrolment.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestEnrolment = Enrolment.TestCase
