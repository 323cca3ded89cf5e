"""Which announced places a machine tries, round by round: a flood can't keep the right one back."""

import random

import pytest

from iso.enroll.client import Enroller
from iso.enroll.find import Announced
from iso.enroll.kept import Kept
from roles.enrollment.invitation import Invitation
from roles.enrollment.node import Node
from roles.enrollment.token import Token

PLACES = [Invitation("127.0.0.9", 9000 + number) for number in range(101)]


class Crowd:
    async def look(self, _seconds):
        return [Announced(place) for place in PLACES]


@pytest.mark.parametrize("seed", range(20))
async def test_each_is_tried_once_before_any_is_tried_again(seed):
    random.seed(seed)
    machine = Enroller(
        Node("cto-1", bytes(32), b"blob", {}),
        Token.make(bytes(23)),
        Kept(bytes(32)),
        lambda _state: None,
        finder=Crowd(),
    )
    tried = []
    for at in range(6):
        chosen = await machine._round()
        for place in chosen:
            machine._tried[place] = at + 1.0
        tried += chosen
        assert machine._more is (len(set(tried)) < len(PLACES))
    assert set(tried[: len(PLACES)]) == set(PLACES)
