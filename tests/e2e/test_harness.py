"""What the end-to-end tests wait with."""

import pytest

from tests.e2e.harness import until


@pytest.mark.parametrize("not_yet", [None, False, "", 0, []])
def test_nothing_is_not_yet(not_yet: object) -> None:
    answers = iter([not_yet, not_yet, "ssh-ed25519 AAAA"])
    assert until(lambda: next(answers), "the new host key", pause=0) == "ssh-ed25519 AAAA"


def test_what_never_happens_is_named() -> None:
    with pytest.raises(AssertionError, match="the new host key"):
        until(lambda: "", "the new host key", seconds=0, pause=0)
