"""From events to receivers: told once each, again after a failure, never held up by each other."""

from datetime import timedelta

import pytest

from controller.app import notifying
from controller.core.topics import TOPICS, topic_of
from inventory.errors import OperatorError, RefusedError, TransportError


class Sent:
    """A way that keeps what it was given and fails as it is told."""

    kind = "sent"
    secret = "the key"
    needs_secret = False
    fields = {"to": "anybody"}  # noqa: RUF012 - a constant of a test

    def __init__(self):
        self.messages, self.failing = [], None

    def check(self, settings):
        return dict(settings)

    def send(self, settings, secret, message):
        if self.failing:
            raise self.failing
        self.messages.append((settings["to"], secret, message))

    def get(self, _kind):
        return self

    def kinds(self):
        return ("sent",)


@pytest.fixture
def way(services):
    services.__dict__["notifiers"] = Sent()
    return services.notifiers


def _add(services, name="ops", topics=(), secret=""):
    notifying.add(services, name, "sent", {"to": name}, topics, secret, actor="ada")


def _event(services, kind="RolloutPaused", subject="r-1", text="too many failed"):
    with services.store._unit() as unit:
        return unit.event(kind, subject, text)


async def test_told_once_of_what_was_chosen(services, way):
    _event(services, text="before anybody listened")
    _add(services, topics=("paused",))
    first = _event(services)
    _event(services, "StepStarted")
    _event(services, "RolloutWaveDone")
    assert await notifying.tick(services) == 1
    assert await notifying.tick(services) == 0
    ((to, _, message),) = way.messages
    assert (to, message.text, message.topic) == ("ops", "too many failed", "paused")
    assert first


async def test_tried_again_with_the_same_id_and_in_order(services, way):
    _add(services)
    _event(services, text="one")
    _event(services, text="two")
    way.failing = TransportError("the mail server said 451")
    assert await notifying.tick(services) == 0
    (row,) = services.store.notifiers()
    assert (row.waiting, row.problem) == (2, "the mail server said 451")
    ids = {d.event: d.id for d in services.store.due_deliveries(services.clock.at + timedelta(days=1))}
    way.failing = None
    services.clock.at += timedelta(hours=2)
    assert await notifying.tick(services) == 2
    assert {message.id for _, _, message in way.messages} == set(ids.values())
    assert services.store.notifiers()[0].problem == ""


async def test_given_up_and_said(services, way):
    _add(services)
    _event(services)
    way.failing = RefusedError("no such mailbox")
    await notifying.tick(services)
    way.failing = None
    services.clock.at += timedelta(days=1)
    assert await notifying.tick(services) == 0
    kinds = [event.kind for event in services.queries.events()]
    assert "NotificationLost" in kinds


async def test_patience_ends(services, way):
    _add(services)
    _event(services)
    way.failing = TransportError("down")
    for _ in range(40):
        await notifying.tick(services)
        services.clock.at += timedelta(hours=2)
    assert services.store.notifiers()[0].waiting == 0
    assert [e.kind for e in services.queries.events()].count("NotificationLost") == 1


async def test_one_that_fails_holds_no_other_up(services, way):
    class Mixed(Sent):
        def send(self, settings, secret, message):
            if settings["to"] == "bad":
                raise TransportError("down")
            super().send(settings, secret, message)

    services.__dict__["notifiers"] = mixed = Mixed()
    _add(services, "bad")
    _add(services, "good")
    _event(services)
    assert await notifying.tick(services) == 1
    assert [to for to, _, _ in mixed.messages] == ["good"]


async def test_a_killed_controller_loses_nothing(services, way):
    """Killed after the hand-over and before the mark: once more, with the same id."""
    _add(services)
    _event(services)
    services.store.note_deliveries(topic_of, services.new_id)
    (delivery,) = services.store.due_deliveries(services.clock.at)
    way.send({"to": "ops"}, "", notifying._message(delivery))
    assert await notifying.tick(services) == 1
    assert len({message.id for _, _, message in way.messages}) == 1


async def test_a_secret_is_sealed_and_goes_with_its_notifier(services, way):
    _add(services, secret="hunter2-hunter2")
    _event(services)
    await notifying.tick(services)
    assert way.messages[0][1] == "hunter2-hunter2"
    services.store.drop_notifier("ops", actor="ada")
    assert not services.store.has_secret("notify/ops")
    held = b"".join(p.read_bytes() for p in services.home.root.rglob("*") if p.is_file())
    assert b"hunter2" not in held
    assert await notifying.tick(services) == 0


@pytest.mark.parametrize(
    ("kind", "settings", "topics", "words"),
    [
        ("pigeon", {}, (), "no notifier"),
        ("email", {"colour": "red"}, (), "no setting"),
        ("email", {"host": "h", "from": "a@b", "to": "a@b"}, ("weather",), "no topic"),
        ("webhook", {"url": "https://a.example/"}, (), "needs"),
    ],
)
def test_wrong_input_keeps_nothing(services, kind, settings, topics, words):
    with pytest.raises(OperatorError, match=words):
        notifying.add(services, "x", kind, settings, topics, "", actor="ada")
    assert services.store.notifiers() == ()
    assert len(TOPICS) > 5
