"""Machines enrol at a controller over TLS on loopback: the whole way, and every way to be refused."""

import asyncio
import ssl
from datetime import timedelta

import pytest

from controller.app.enrollment import decide
from inventory.errors import OperatorError, RefusedError
from tests.unit.enrollment.conftest import fleet

HOUR = timedelta(hours=1)


async def test_a_machine_asks_an_operator_compares_words_and_it_is_pinned(controller):
    async with controller.opened() as place:
        machine = controller.machine(place)
        async with machine.asking() as task:
            shown = await machine.until("waiting")
            (row,) = controller.store.enrollments(["pending"])
            assert row.words == shown.words
            assert row.words.startswith("ENROLL ")
            assert (row.site, row.role, row.address) == ("berlin", "worker", "127.0.0.50")
            found = decide.find(controller.services, shown.words.removeprefix("ENROLL "))
            approved = decide.approve(controller.services, found.id, actor="ada")
            verdict = await task
    assert (verdict.state, verdict.name) == ("approved", "berlin-w-1")
    assert machine.states[-1].node == "berlin-w-1"
    node = controller.store.node("berlin-w-1")
    assert (node.host_key, node.address, node.state) == (machine.line, "127.0.0.50", "pinned")
    assert approved.why == "the only worker of berlin without a machine"
    assert {"open enrollment", "pend enrollment", "consume token", "pin", "approve enrollment"} <= set(
        controller.audit()
    )
    assert controller.store.audit_verify().ok
    assert not controller.store.enrollment_refusals()


async def test_a_rejected_machine_is_told_so(controller):
    async with controller.opened() as place:
        machine = controller.machine(place)
        async with machine.asking() as task:
            await machine.until("waiting")
            (row,) = controller.store.enrollments()
            decide.reject(controller.services, row.id, actor="ada", reason="not ours")
            assert (await task).state == "rejected"
    assert controller.store.node("berlin-w-1").host_key == ""
    with pytest.raises(RefusedError, match="rejected already"):
        decide.approve(controller.services, row.id, actor="ada")


async def test_a_lost_answer_is_had_again_with_the_same_words_and_one_use(controller):
    """The listener dies after each step; the machine asks again and hears the same."""
    async with controller.opened() as place:
        controller.port = place.port
        machine = controller.machine(place)
        task = asyncio.ensure_future(machine.enroller().run())
        first = await machine.until("waiting")
    machine.states.clear()
    await machine.until("trouble")
    machine.states.clear()
    async with controller.opened():
        again = await machine.until("waiting")
    assert again.words == first.words
    (row,) = controller.store.enrollments()
    decide.approve(controller.services, row.id, actor="ada")
    async with controller.hosting():
        assert (await task).name == "berlin-w-1"
    assert controller.audit().count("consume token") == 1
    assert len(controller.store.enrollments()) == 1


async def test_two_machines_with_one_token_one_is_in_and_both_are_shown(controller):
    async with controller.opened() as place:
        token = controller.token()
        first = controller.machine(place, token, hardware={"serial": "S-1"})
        second = controller.machine(place, token, hardware={"serial": "S-2"}, address="127.0.0.51")
        async with first.asking(), second.asking():
            await controller.until(lambda: "reuse" in controller.reasons())
            await controller.until(
                lambda: {"waiting", "refused"} <= {s.state for m in (first, second) for s in m.states}
            )
            (row,) = controller.store.enrollments()
    assert "proved the same token" in row.conflict
    assert controller.audit().count("consume token") == 1
    assert "refuse enrollment: reuse" in controller.audit()
    with pytest.raises(RefusedError, match="in conflict"):
        decide.approve(controller.services, row.id, actor="ada")
    decide.approve(controller.services, row.id, actor="ada", accept_conflict=True)


@pytest.mark.parametrize("how", ["expired", "revoked", "used"])
async def test_a_token_that_is_no_longer_good(controller, clock, how):
    token = controller.token()
    if how == "expired":
        clock.ahead = 2 * HOUR
        controller.store._now = clock.now
    elif how == "revoked":
        controller.store.revoke_token(token[5:15], actor="ada")
    else:
        controller.store.consume(token[5:15], clock.now())
    async with controller.opened() as place:
        machine = controller.machine(place, token)
        async with machine.asking():
            assert "refused" in (await machine.until("refused")).text
    assert list(controller.reasons()) == [how]
    assert f"refuse enrollment: {how}" in controller.audit()
    assert not controller.store.enrollments()


async def test_known_hardware_with_other_keys_is_refused_until_it_is_forgotten(controller):
    async with controller.opened() as place:
        token = controller.token()
        first = controller.machine(place, token, hardware={"uuid": "4C4C4544-0042-3510-8052-B4C04F4E3233"})
        async with first.asking() as task:
            await first.until("waiting")
            decide.approve(controller.services, controller.store.enrollments()[0].id, actor="ada")
            await task
        anew = controller.machine(
            place, token, hardware={"uuid": "4c4c4544-0042-3510-8052-b4c04f4e3233"}, address="127.0.0.51"
        )
        async with anew.asking() as task:
            await anew.until("refused")
            assert "berlin-w-1" in controller.reasons()["changed-keys"].what
            assert controller.store.node("berlin-w-1").host_key == first.line
            controller.store.forget_enrollment("berlin-w-1", actor="ada", reason="power cut")
            await anew.until("waiting")
            (row,) = controller.store.enrollments(["pending"])
            decide.approve(controller.services, row.id, actor="ada", name="berlin-w-1")
            assert (await task).name == "berlin-w-1"
    assert controller.store.node("berlin-w-1").host_key == anew.line


async def test_a_machine_started_anew_gets_its_use_back(controller):
    async with controller.opened() as place:
        token = controller.token()
        first = controller.machine(place, token)
        async with first.asking():
            await first.until("waiting")
        anew = controller.machine(place, token, address="127.0.0.51")
        async with anew.asking():
            await anew.until("refused")
            (row,) = controller.store.enrollments(["pending"])
            decide.reject(controller.services, row.id, actor="ada", reason="power cut", again=True)
            await anew.until("waiting")
    (row,) = controller.store.enrollments(["pending"])
    assert row.conflict == ""
    assert "return token use" in controller.audit()


async def test_registered_hardware_with_a_one_use_token_needs_nobody(controller):
    known = ("berlin-w-1", "worker", {"serial": "S-1"}), ("berlin-w-2", "worker", {})
    controller.store.declare(fleet(*known), actor="ada")
    async with controller.opened() as place:
        machine = controller.machine(place)
        async with machine.asking() as task:
            assert (await task).name == "berlin-w-1"
        (row,) = controller.store.enrollments()
        assert (row.decided_by, row.state) == ("engine", "approved")
        assert "registered beforehand" in row.reason
        other = controller.machine(
            place, controller.token(uses=2), hardware={"serial": "S-9"}, address="127.0.0.51"
        )
        async with other.asking():
            await other.until("waiting")
    assert [each.state for each in controller.store.enrollments()] == ["pending", "approved"]


@pytest.mark.parametrize(
    ("hardware", "expected", "uses"),
    [
        ({"serial": "S-1", "mac0": "52:54:00:00:00:01"}, {"mac": "52:54:00:00:00:01"}, 1),  # too weak
        ({"serial": "S-1", "tpm_ek": "ab" * 32}, {"tpm_ek": "ab" * 32}, 1),  # a key that nobody challenged
        ({"serial": "S-1", "tpm_ek": "ab" * 32}, {"serial": "S-1", "tpm_ek": "cd" * 32}, 1),
        ({"serial": "S-1"}, {"serial": "S-1"}, 2),  # a token of many uses
        ({"serial": "S-1"}, {"serial": "S-2"}, 1),
        ({"serial": "Default string"}, {"serial": "Default string"}, 1),
    ],
)
async def test_nothing_less_approves_by_itself(controller, hardware, expected, uses):
    controller.store.declare(fleet(("berlin-w-1", "worker", expected)), actor="ada")
    async with controller.opened() as place:
        machine = controller.machine(place, controller.token(uses=uses), hardware=hardware)
        async with machine.asking():
            await machine.until("waiting")
    assert controller.store.enrollments()[0].state == "pending"


async def test_two_that_claim_the_same_hardware_stand_side_by_side(controller):
    async with controller.opened() as place:
        first = controller.machine(place, hardware={"serial": "S-1"})
        second = controller.machine(place, hardware={"serial": "S-1"}, address="127.0.0.51")
        async with first.asking(), second.asking():
            await first.until("waiting")
            await second.until("waiting")
    one, other = controller.store.enrollments()
    assert one.conflict == f"claims the same serial as {other.id}"
    assert other.conflict == f"claims the same serial as {one.id}"


async def test_a_guess_and_an_unknown_token(controller):
    async with controller.opened() as place:
        good = controller.token()
        guess = controller.machine(place, good[:16] + "A" * 26)
        unknown = controller.machine(place, "CTO1-AAAAAAAAAA-" + "A" * 26, address="127.0.0.51")
        async with guess.asking(), unknown.asking():
            await guess.until("refused")
            await unknown.until("refused")
    assert {"guess", "token"} <= set(controller.reasons())
    assert {"refuse enrollment: guess", "refuse enrollment: token"} <= set(controller.audit())
    assert "consume token" not in controller.audit()


async def test_another_key_than_the_pinned_one_ends_it_before_a_word(controller):
    async with controller.opened() as place:
        machine = controller.machine(place)
        machine.pin = bytes(32)
        async with machine.asking():
            assert "not your controller" in (await machine.until("trouble")).text
            await controller.until(lambda: "left" in controller.reasons())
    assert not controller.store.enrollments()


async def test_enrolment_closes_itself_and_cuts_who_waits(controller, clock):
    async with controller.opened(minutes=30) as place:
        machine = controller.machine(place)
        async with machine.asking():
            await machine.until("waiting")
            clock.ahead = timedelta(minutes=31)
            await controller.until(lambda: "close enrollment" in controller.audit())
            machine.states.clear()
            await machine.until("trouble")
    assert controller.store.enrollments()[0].state == "pending"  # can still be approved
    window = controller.store.enrollment_window()
    assert (window.closed_at != "", window.endpoints) == (True, ())


async def test_closing_by_order_and_opening_again(controller):
    async with controller.opened():
        controller.store.close_enrollment(actor="ada", reason="done")
        await controller.until(lambda: not controller.endpoints())
    closed = controller.store.enrollment_window()
    assert (closed.closed_at != "", closed.endpoints) == (True, ())
    assert controller.audit().count("close enrollment") == 1
    async with controller.opened() as place:
        assert controller.store.enrollment_window().closed_at == ""
        machine = controller.machine(place)
        async with machine.asking():
            await machine.until("waiting")
    (row,) = controller.store.enrollments()
    assert row.state == "pending"


async def test_a_port_that_is_taken_is_told(controller):
    listener = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    controller.port = listener.sockets[0].getsockname()[1]
    controller.open()
    from controller.app.enrollment.host import host

    task = asyncio.ensure_future(host(controller.services))
    window = await controller.until(lambda: (w := controller.store.enrollment_window()) and w.problem and w)
    assert f"port {controller.port} can't be listened on" in window.problem
    controller.store.close_enrollment(actor="ada", reason="done")
    await task
    listener.close()


async def test_a_machine_that_went_away_no_longer_waits(controller, clock):
    async with controller.opened() as place:
        machine = controller.machine(place)
        async with machine.asking():
            await machine.until("waiting")
    assert controller.store.expire_enrollments(clock.now() + HOUR) == 1
    (row,) = controller.store.enrollments()
    assert row.state == "expired"
    with pytest.raises(RefusedError, match="expired already"):
        decide.approve(controller.services, row.id, actor="ada")


async def test_which_node_it_is_must_be_said_where_it_is_open(controller):
    controller.store.declare(
        fleet(
            ("berlin-w-1", "worker", {}), ("berlin-w-2", "worker", {}), ("berlin-cp-1", "controlplane", {})
        ),
        actor="ada",
    )
    async with controller.opened() as place:
        machine = controller.machine(place)
        async with machine.asking():
            await machine.until("waiting")
    (row,) = controller.store.enrollments()
    with pytest.raises(OperatorError, match="could be berlin-w-1, berlin-w-2"):
        decide.approve(controller.services, row.id, actor="ada")
    with pytest.raises(RefusedError, match="to be a controlplane"):
        decide.approve(controller.services, row.id, actor="ada", name="berlin-cp-1")
    controller.store.revoke_token(row.token, actor="ada")
    with pytest.raises(RefusedError, match="revoked since"):
        decide.approve(controller.services, row.id, actor="ada", name="berlin-w-2")
    assert controller.store.node("berlin-w-2").host_key == ""


async def raw(place, *, address="127.0.0.60"):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection(place.host, place.port, ssl=context, local_addr=(address, 0))


async def test_what_is_no_message_is_refused_and_too_much_is_cut(controller):
    async with controller.opened() as place:
        reader, writer = await raw(place)
        assert b'"challenge"' in await reader.readline()
        writer.write(b"GET / HTTP/1.1\n")
        assert await reader.readline() == b'{"type":"refused","v":1}\n'
        assert await reader.read() == b""
        writer.close()
        reader, writer = await raw(place)
        await reader.readline()
        writer.write(b"x" * 20_000)
        with pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):
            assert await reader.read() != b""  # nothing is answered; the connection ends
        writer.close()
        await controller.until(lambda: {"malformed", "oversize"} <= set(controller.reasons()))


async def test_plain_text_is_no_tls(controller):
    async with controller.opened() as place:
        reader, writer = await asyncio.open_connection(place.host, place.port, local_addr=("127.0.0.61", 0))
        writer.write(b"hello\n")
        assert b"challenge" not in await reader.read()  # at most an alert of TLS; then it ends
        writer.close()
        await controller.until(lambda: "tls" in controller.reasons())
    refused = controller.reasons()["tls"]
    assert (refused.address, refused.times) == ("127.0.0.61", 1)
    assert controller.store.enrollments() == ()


async def test_one_address_can_knock_five_times_a_minute(controller):
    async with controller.opened() as place:
        for _ in range(7):
            try:
                _, writer = await raw(place)
                writer.close()
            except (ConnectionError, ssl.SSLError, OSError):
                continue
        machine = controller.machine(place)
        async with machine.asking():  # another address is not hindered
            await machine.until("waiting")
    flood = controller.reasons()["flood"]
    assert (flood.address, flood.times) == ("127.0.0.60", 2)


async def test_ipv6_by_address(controller):
    async with controller.opened(interfaces=("::1",)) as place:
        assert place.host == "::1"
        machine = controller.machine(place, address="::1")
        async with machine.asking():
            await machine.until("waiting")
        window = controller.store.enrollment_window()
    assert "IPv4 only" in window.problem
    assert controller.store.enrollments()[0].address == "::1"


async def test_two_addresses_have_one_port(controller):
    async with controller.opened(interfaces=("127.0.0.1", "127.0.0.2")) as place:
        assert set(controller.endpoints()) == {f"127.0.0.1:{place.port}", f"127.0.0.2:{place.port}"}


async def test_a_typed_invitation_is_enough_and_another_key_typed_is_refused(controller):
    from roles.enrollment.invitation import Invitation

    async with controller.opened() as place:
        text = Invitation(place.host, place.port, controller.pin).to_text()
        typed = [""]
        machine = controller.machine(None)
        machine.pin = b""
        async with machine.asking(typed=lambda: typed[0]):
            typed[0] = "nonsense at all"
            assert "is not where a controller listens" in (await machine.until("trouble")).text
            machine.states.clear()
            typed[0] = place.endpoint
            assert "not known here" in (await machine.until("trouble")).text
            typed[0] = text.upper()
            await machine.until("waiting")
        other = controller.machine(None, address="127.0.0.51")
        async with other.asking(typed=lambda: Invitation(place.host, place.port, bytes(32)).to_text()):
            assert "another key was typed" in (await other.until("trouble")).text


async def test_nothing_listens_elsewhere_nor_after_it_was_closed(controller):
    async def answers(host, port):
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    async with controller.opened() as place:
        assert await answers("127.0.0.1", place.port)
        assert not await answers("127.0.0.2", place.port)
        controller.store.close_enrollment(actor="ada", reason="done")
        await controller.until(lambda: not controller.store.enrollment_window().endpoints)
        while await answers("127.0.0.1", place.port):  # what was accepted meanwhile is cut, too
            await asyncio.sleep(0.02)
