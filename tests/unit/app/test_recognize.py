"""Which machines count as the same, and which as another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.recognize import Recognized, came_back, recognize
from controller.app.talos_port import MachineMarks
from controller.store import Store
from controller.wiring import Wiring
from facts.machine import platform
from facts.snapshot import Facts

KNOWN = MachineMarks("4c4c4544-0058-4b10-8032-b7c04f4d3133", "7XK2M13", frozenset({"52:54:00:00:00:01"}))
OTHER = MachineMarks("4c4c4544-0058-4b10-8032-b7c04f4d3134", "7XK2M14", frozenset({"52:54:00:00:00:02"}))
VALUES = st.sampled_from(["", "Default string", "a", "b"])
MARKS = st.builds(
    MachineMarks, VALUES, VALUES, st.frozensets(st.sampled_from(["52:54:00:00:00:01", "52:54:00:00:00:02"]))
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (KNOWN, Recognized(("uuid", "serial", "mac"))),
        (OTHER, Recognized((), ("uuid", "serial", "mac"))),
        # SMBIOS gives the UUID in capitals, or its first bytes turned round.
        (MachineMarks(KNOWN.uuid.upper(), "", KNOWN.macs), Recognized(("uuid", "mac"))),
        (
            MachineMarks("44454c4c-5800-104b-8032-b7c04f4d3133", "", KNOWN.macs),
            Recognized(("mac",), ("uuid",)),
        ),
        # The network card was replaced; the machine has a second one.
        (MachineMarks(KNOWN.uuid, "", OTHER.macs), Recognized(("uuid",), ("mac",))),
        (MachineMarks("", "", KNOWN.macs | OTHER.macs), Recognized(("mac",))),
        # A board without SMBIOS, and one whose maker filled nothing in.
        (MachineMarks("", "", OTHER.macs), Recognized((), ("mac",))),
        (MachineMarks("03000200-0400-0500-0006-000700080009", "Default string"), Recognized()),
        (MachineMarks(), Recognized()),
    ],
)
def test_one_match_is_enough_and_none_is_another_machine(found: MachineMarks, expected: Recognized) -> None:
    verdict = recognize(KNOWN, found)
    assert verdict == expected
    assert verdict.is_another == (bool(expected.other) and not expected.by)


@given(MARKS, MARKS)
def test_it_does_not_matter_which_came_first(one: MachineMarks, two: MachineMarks) -> None:
    assert recognize(one, two) == recognize(two, one)
    assert not recognize(one, one).is_another


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFR"  # made up


def facts(uuid: str) -> Facts:
    return Facts().with_value(platform.FACT, platform.Platform(uuid=uuid, serial="Default string"))


def told(store: Store) -> list[tuple[str, str]]:
    return [(row.kind, row.message) for row in store.events() if row.kind.startswith("Machine")]


def test_an_exchanged_machine_is_told_and_not_refused(services: Wiring, store: Store) -> None:
    store.pin("n1", address="10.0.0.1", host_key=KEY, actor="local:ada", reason="test")
    came_back(services, "n1", facts(KNOWN.uuid))  # nothing was known of it
    store.save_facts("n1", facts(KNOWN.uuid).to_dict(), "a")
    came_back(services, "n1", facts(KNOWN.uuid))  # gathered again, and never installed: nobody asks
    assert told(store) == []
    came_back(services, "n1", facts(OTHER.uuid))
    assert told(store) == [("MachineExchanged", "another machine than before: another uuid")]
