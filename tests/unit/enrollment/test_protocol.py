"""Enrolment between two sides in memory, with an attacker who changes, replays, relays and guesses."""

import dataclasses
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from roles.enrollment import proof
from roles.enrollment.controller import REFUSED, ControllerSide
from roles.enrollment.invitation import Invitation
from roles.enrollment.messages import MAX_BYTES, Pending, decode, encode
from roles.enrollment.node import Node, NodeSide
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import Token
from roles.enrollment.transcript import Transcript

PAGE = Path(__file__).parents[3] / "docs" / "enrollment.md"
TOKEN = Token.make(bytes(range(23)))
SPKI, OTHER = bytes([7]) * 32, bytes([8]) * 32
NODE = Node("node-1", bytes([1]) * 32, b"ssh host key", {"serial": "CN 7/{x", "uuid": "4c4c"})
SMALL_ORDER = ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ff" * 32]


def controller(nonce=bytes([2]) * 32, spki=SPKI):
    return ControllerSide("ctl-1", spki_sha256=spki, nonce=nonce)


def node(token=TOKEN, who=NODE, shown=SPKI, nonce=bytes([3]) * 32):
    return NodeSide(who, token, pin=shown, shown=shown, nonce=nonce)


def transcript():
    return Transcript(
        TOKEN.id,
        "ctl-1",
        "node-1",
        bytes([2]) * 32,
        bytes([3]) * 32,
        SPKI,
        proof.public_key(NODE.seed),
        NODE.ssh_key,
        NODE.hardware,
    )


def reason(call, *values):
    with pytest.raises(EnrollmentRefusedError) as error:
        call(*values)
    return error.value.reason


def test_both_sides_end_with_the_same_words_and_the_secret_never_travels():
    ours, theirs = controller(), node()
    challenge = ours.challenge()
    request = theirs.request(challenge)
    assert ours.claim(request).token_id == TOKEN.id
    proved = ours.prove(TOKEN.secret)
    answer = ours.accept()
    assert theirs.conclude(answer) == proved.words == proved.transcript.words()
    assert re.fullmatch(r"ENROLL( [a-z]+){6}", proved.words)
    wire = challenge + request + answer
    for form in (TOKEN.secret, TOKEN.secret.hex().encode(), TOKEN.to_text()[-26:].encode()):
        assert form not in wire
    assert "secret" not in repr(TOKEN)


def test_vectors_of_the_page():
    block = re.search(r"^```json vectors\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    given_, made = (json.loads(block[1])[name] for name in ("given", "made"))
    token = Token.from_text(given_["token"])
    who = Node(
        given_["node_id"],
        bytes.fromhex(given_["node_seed"]),
        bytes.fromhex(given_["ssh_key"]),
        given_["hardware"],
    )
    spki = bytes.fromhex(given_["spki_sha256"])
    ours = ControllerSide(
        given_["controller_id"], spki_sha256=spki, nonce=bytes.fromhex(given_["controller_nonce"])
    )
    theirs = NodeSide(who, token, pin=spki, shown=spki, nonce=bytes.fromhex(given_["node_nonce"]))
    challenge = ours.challenge()
    request = theirs.request(challenge)
    ours.claim(request)
    proved = ours.prove(token.secret)
    answer = ours.accept()
    assert {
        "secret": token.secret.hex(),
        "key": proof.derive_key(token.secret).hex(),
        "transcript": proved.transcript.to_bytes().hex(),
        "challenge": challenge.decode(),
        "request": request.decode(),
        "pending": answer.decode(),
        "words": theirs.conclude(answer),
        "session": (session := proved.transcript.session()).hex(),
        "verdict_pending": (waiting := ours.verdict("pending", session=session)).decode(),
        "verdict_approved": (
            last := ours.verdict("approved", session=session, name=given_["node_name"])
        ).decode(),
        "invitation": dataclasses.replace(Invitation.parse(given_["endpoint"]), pin=spki).to_text(),
    } == made
    assert theirs.verdict(waiting).state == "pending"
    assert theirs.verdict(last).name == given_["node_name"]


def test_hkdf_is_that_of_the_rfc():
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    peer = HKDF(SHA256(), 32, None, b"cto-enroll-v1").derive(TOKEN.secret)
    assert proof.derive_key(TOKEN.secret) == peer


@given(st.data())
def test_any_flipped_bit_on_the_way_is_refused(data):
    which = data.draw(st.sampled_from(["challenge", "request", "answer"]))

    def tamper(message, name):
        if name != which:
            return message
        bit = data.draw(st.integers(0, len(message) * 8 - 1))
        changed = bytearray(message)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def talk():
        ours, theirs = controller(), node()
        request = theirs.request(tamper(ours.challenge(), "challenge"))
        ours.claim(tamper(request, "request"))
        ours.prove(TOKEN.secret)
        theirs.conclude(tamper(ours.accept(), "answer"))

    assert reason(talk) in {"malformed", "guess", "relay", "signature", "answer", "order"}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Transcript)])
def test_every_binding_changes_the_transcript(name):
    value = getattr(transcript(), name)
    changed = {**value, "extra": "1"} if isinstance(value, dict) else value[:-1]
    other = dataclasses.replace(transcript(), **{name: changed})
    assert other.to_bytes() != transcript().to_bytes()
    assert other.words() != transcript().words()


TEXTS = st.text("ab", max_size=3)
PARTS = st.builds(
    Transcript,
    token_id=TEXTS,
    controller_id=TEXTS,
    node_id=TEXTS,
    controller_nonce=st.binary(max_size=3),
    node_nonce=st.binary(max_size=3),
    spki_sha256=st.binary(max_size=3),
    node_key=st.binary(max_size=3),
    ssh_key=st.binary(max_size=3),
    hardware=st.dictionaries(TEXTS, TEXTS, max_size=2),
)


@given(PARTS, PARTS)
def test_two_transcripts_are_the_same_bytes_only_if_they_are_the_same(a, b):
    assert (a.to_bytes() == b.to_bytes()) == (a == b)


def test_replay_relay_guess_and_unknown_token():
    request = node().request(controller().challenge())
    replayed = controller(nonce=bytes([9]) * 32)
    replayed.challenge()
    replayed.claim(request)
    assert reason(replayed.prove, TOKEN.secret) == "relay"
    relay = controller(spki=OTHER)  # the machine was pinned to another key than ours
    relay.challenge()
    relay.claim(request)
    assert reason(relay.prove, TOKEN.secret) == "relay"
    for secret, said in ((bytes(16), "guess"), (None, "token")):
        guess = controller()
        guess.challenge()
        guess.claim(node(Token(TOKEN.id, bytes(16))).request(controller().challenge()))
        assert reason(guess.prove, TOKEN.secret if secret else secret) == said


def test_a_wrong_pin_stops_the_machine_before_it_says_anything():
    assert reason(lambda: NodeSide(NODE, TOKEN, pin=SPKI, shown=OTHER, nonce=bytes(32))) == "pin"


def forged(**changes):
    """A request of somebody who knows the token but not the node key."""
    ours = controller()
    message = dataclasses.replace(decode(node().request(ours.challenge())), **changes)
    bound = dataclasses.replace(transcript(), node_key=message.node_key, ssh_key=message.ssh_key).to_bytes()
    mac = proof.mac(proof.derive_key(TOKEN.secret), b"N", bound)
    ours.claim(encode(dataclasses.replace(message, mac=mac)))
    return reason(ours.prove, TOKEN.secret)


def test_a_key_is_shown_only_by_who_has_it():
    assert forged(ssh_key=b"another ssh key") == "signature"
    assert forged(node_key=proof.public_key(bytes([5]) * 32)) == "signature"


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_under_which_anything_verifies_are_refused(key):
    assert forged(node_key=bytes.fromhex(key)) == "key"
    assert not proof.signed(bytes.fromhex(key), b"anything", bytes(64))


def test_a_controller_without_the_token_and_a_reflected_proof_are_refused():
    for answer, said in (
        (encode(Pending(bytes(32))), "answer"),
        (encode(Pending(proof.mac(proof.derive_key(TOKEN.secret), b"N", transcript().to_bytes()))), "answer"),
        (REFUSED, "declined"),
        (b"", "malformed"),
    ):
        theirs = node()
        theirs.request(controller().challenge())
        assert reason(theirs.conclude, answer) == said
        assert reason(theirs.conclude, answer) == "order"  # one try a connection


def proved():
    """Both sides after the answer."""
    ours, theirs = controller(), node()
    ours.claim(theirs.request(ours.challenge()))
    found = ours.prove(TOKEN.secret)
    theirs.conclude(ours.accept())
    return ours, theirs, found.transcript


def test_verdicts_come_until_one_is_final():
    ours, theirs, agreed = proved()
    session = agreed.session()
    assert theirs.session == session
    for _ in range(2):
        assert theirs.verdict(ours.verdict("pending", session=session)).state == "pending"
    last = theirs.verdict(ours.verdict("approved", session=session, name="berlin-w-1"))
    assert (last.state, last.name, last.session) == ("approved", "berlin-w-1", session)
    assert reason(lambda: ours.verdict("pending", session=session)) == "order"
    assert reason(theirs.verdict, b"") == "order"
    assert reason(theirs.conclude, b"") == "order"


def test_a_verdict_is_only_believed_from_the_controller_on_this_connection():
    ours, theirs, agreed = proved()
    said = ours.verdict("pending", session=agreed.session())
    message = decode(said)
    for forged_one in (
        dataclasses.replace(message, state="approved", name="berlin-w-1"),
        dataclasses.replace(message, session=bytes(32)),
        dataclasses.replace(message, state="rejected"),
    ):
        _, theirs, _ = proved()
        assert reason(theirs.verdict, encode(forged_one)) == "answer"
        assert reason(theirs.verdict, said) == "order"
    elsewhere = node(nonce=bytes([4]) * 32)
    again = controller()
    again.claim(elsewhere.request(again.challenge()))
    again.prove(TOKEN.secret)
    elsewhere.conclude(again.accept())
    assert reason(elsewhere.verdict, said) == "answer"
    assert reason(proved()[1].verdict, REFUSED) == "order"
    assert reason(node().verdict, said) == "order"


@pytest.mark.parametrize(
    ("state", "name"), [("maybe", ""), ("approved", ""), ("pending", "x"), ("rejected", "x"), (1, "")]
)
def test_only_an_approval_has_a_name(state, name):
    said = json.dumps(
        {"mac": "00" * 32, "name": name, "session": "00" * 32, "state": state, "type": "verdict", "v": 1},
        separators=(",", ":"),
    )
    assert reason(decode, said.encode()) == "malformed"


def test_nothing_happens_twice_or_out_of_order():
    assert reason(controller().claim, b"") == "order"
    assert reason(controller().prove, TOKEN.secret) == "order"
    assert reason(controller().accept) == "order"
    assert reason(node().conclude, REFUSED) == "order"
    assert reason(node().request, REFUSED) == "order"
    ours = controller()
    challenge = ours.challenge()
    assert reason(ours.challenge) == "order"
    theirs = node()
    request = theirs.request(challenge)
    assert reason(theirs.request, challenge) == "order"
    assert reason(ours.claim, request) == "order"  # the second challenge ended it
    failed = controller()
    failed.claim(node().request(failed.challenge()))
    assert reason(failed.prove, bytes(16)) == "guess"
    assert reason(failed.prove, TOKEN.secret) == "order"
    assert reason(failed.accept) == "order"


GOOD = node().request(controller().challenge())


@pytest.mark.parametrize(
    "data",
    [
        b" " * (MAX_BYTES + 1),
        b"[" * 8000,
        b'{"a":' * 1000,
        b'"' * 8001,
        b"1" * 8000,
        b"NaN",
        b"\xff",
        b"[]",
        b"{}",
        b'{"type":"refused","v":2}',
        b'{"type":"refused","v":true}',
        b'{"type":"refused","v":1.0}',
        b'{"type":"refused","v":1,"v":1}',
        b'{"more":1,"type":"refused","v":1}',
        b'{"type":"refused", "v":1}',
        b'{"v":1,"type":"refused"}',
        b'{"type":["refused"],"v":1}',
        b'{"type":"ref\\u0075sed","v":1}',
        GOOD.replace(b'"serial"', b'"Serial"'),
        GOOD.replace(b'"4c4c"', b"4"),
        GOOD.replace(b'"4c4c"', b'""'),
        GOOD.replace(b'"4c4c"', b'{"a":"b"}'),
        GOOD.replace(b'"node":"node-1"', b'"node":"../x"'),
        GOOD.replace(b'"node":"node-1",', b""),
        GOOD.replace(b"03" * 32, b"03" * 31),
        GOOD.replace(b'"ssh_key":"', b'"ssh_key":"' + b"ab" * 1024),
    ],
)
def test_anything_but_the_one_form_is_malformed(data):
    assert reason(decode, data) == "malformed"


@given(st.binary(max_size=200) | st.text('{}[]":,v1typerfusd', max_size=80).map(str.encode))
def test_whatever_comes_is_a_message_or_refused(data):
    with suppress(EnrollmentRefusedError):
        assert encode(decode(data)) == data


@given(st.binary(min_size=23, max_size=23))
def test_tokens_round_trip_as_text(random):
    token = Token.make(random)
    assert Token.from_text(token.to_text()) == token
    assert Token.from_text(f" {token.to_text().lower()}\n") == token
    assert len(token.to_text()) == 42


@pytest.mark.parametrize("text", ["", "CTO1-", TOKEN.to_text()[:-1], TOKEN.to_text()[:-1] + "B", "x" * 9999])
def test_a_damaged_token_is_refused_without_being_repeated(text):
    with pytest.raises(OperatorError) as error:
        Token.from_text(text)
    assert not text[15:] or text[15:35] not in str(error.value)
    with pytest.raises(OperatorError):
        Token.make(bytes(3))


def test_what_a_machine_cannot_say_in_the_protocol_it_does_not_send():
    odd = dataclasses.replace(NODE, hardware={"serial": 'quote " here'})
    assert reason(node(who=odd).request, controller().challenge()) == "malformed"
