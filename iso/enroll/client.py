"""Tries until there is a verdict: known places first, then what mDNS announces; each state is reported.

Ends only by a verdict. A refusal may be for a reason that an operator mends, so it is tried again, slowly.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from inventory.errors import FleetError, OperatorError, Unreachable
from iso.enroll.attempt import attempt
from iso.enroll.find import Announced, Finder
from iso.enroll.kept import Kept
from roles.enrollment.invitation import Invitation
from roles.enrollment.messages import Verdict
from roles.enrollment.node import Node
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import Token

_AT_ONCE = 20  # announced places that are tried in one round
_FOREIGN = 120.0  # seconds for which a place with another key is left alone
Name = Literal["looking", "connecting", "waiting", "approved", "rejected", "refused", "trouble"]


@dataclass(frozen=True, slots=True)
class State:
    """What the console shows. `words` only while an operator has to compare them."""

    state: Name
    text: str
    words: str = ""
    controller: str = ""
    node: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. The controller lets a machine in five times a minute at most."""

    look: float = 10.0
    retry: float = 15.0
    refused: float = 30.0


@dataclass(slots=True)
class Enroller:
    """`typed` is asked before each round for what somebody typed or scanned at the console meanwhile."""

    node: Node
    token: Token
    kept: Kept
    report: Callable[[State], None]
    pin: bytes = b""
    places: Sequence[Invitation] = ()
    finder: Finder | None = None
    typed: Callable[[], str] = lambda: ""
    pauses: Pauses = field(default_factory=Pauses)
    local: str = ""  # the address to connect from; empty: the system's choice
    _foreign: dict[Invitation, float] = field(default_factory=dict)  # until when not to be tried
    _tried: dict[Invitation, float] = field(default_factory=dict)  # announced places: when last
    _more: bool = False  # announced places are left that were never tried

    async def run(self) -> Verdict:
        while True:
            pause = self.pauses.retry
            for place in await self._round():
                self._tried[place] = time.monotonic()
                self.report(State("connecting", f"connecting to {place.endpoint}", controller=place.endpoint))
                try:
                    return await self._attempt(place)
                except EnrollmentRefusedError as error:
                    pause = max(pause, self._refused(place, error))
                except Unreachable as error:
                    self._trouble(f"{place.endpoint}: {error.what}", error)
            if self._more and pause <= self.pauses.retry:
                pause = 0.0  # the look itself takes its time, and the right one may be among the rest
            await asyncio.sleep(pause * random.uniform(1.0, 1.3))  # noqa: S311 - spreads many machines

    async def _round(self) -> Sequence[Invitation]:
        """Typed, given, announced; each once, and none that says itself that its key is another."""
        try:
            text = self.typed().strip()
            typed = [Invitation.parse(text)] if text else []
        except OperatorError as error:
            self._trouble(error.what, error)
            typed = []
        named = [*typed, *self.places]
        if self.finder is None or typed:
            return tuple(dict.fromkeys(named))
        if not named:
            self.report(State("looking", "looking for the controller"))
        announced = await self.finder.look(self.pauses.look)
        found = [each.place for each in announced if self._possible(each)]
        if not named and not found:
            text = "no controller announces itself here: type its address, or open it: cto enroll open"
            self.report(State("looking", text))
        random.shuffle(found)
        # Whoever floods the network can't keep the right one back: what was tried longest ago comes first.
        self._tried = {place: self._tried[place] for place in found if place in self._tried}
        found.sort(key=lambda place: self._tried.get(place, float("-inf")))
        now = time.monotonic()
        places = [place for place in dict.fromkeys([*named, *found]) if self._foreign.get(place, now) <= now]
        chosen = tuple(places[: _AT_ONCE + len(named)])
        self._more = any(place not in self._tried for place in places[len(chosen) :])
        return chosen

    def _possible(self, announced: Announced) -> bool:
        return not (self.pin and announced.hint) or self.pin.hex().startswith(announced.hint)

    async def _attempt(self, place: Invitation) -> Verdict:
        pin = self.pin or place.pin
        if not pin or (place.pin and place.pin != pin):
            raise EnrollmentRefusedError(
                "pin",
                "the key of this controller is not known here" if not pin else "another key was typed",
                fix="type or scan the whole cto-enroll:// text that `cto enroll open` shows",
            )
        shown = State("waiting", f"waiting for approval by {place.endpoint}", controller=place.endpoint)
        verdict = await attempt(
            place,
            self.node,
            self.token,
            pin,
            self.kept,
            waiting=lambda words: self.report(
                State("waiting", shown.text, words=words, controller=shown.controller)
            ),
            local=self.local,
        )
        if verdict.state == "approved":
            text = f"approved as {verdict.name}: waiting to be installed"
            self.report(State("approved", text, controller=place.endpoint, node=verdict.name))
        else:
            text, fix = "rejected by the operator", "start anew with another token to ask again"
            self.report(State("rejected", text, controller=place.endpoint, fix=fix))
        return verdict

    def _refused(self, place: Invitation, error: EnrollmentRefusedError) -> float:
        if error.reason == "pin":
            # A rival costs one look. Not for ever: somebody may have had our address for a while.
            self._foreign[place] = time.monotonic() + _FOREIGN
            self._trouble(f"{place.endpoint} is not your controller: {error.what}", error)
            return 0.0
        text = f"refused: {error.what}"
        self.report(State("refused", text, controller=place.endpoint, fix=error.fix))
        return self.pauses.refused

    def _trouble(self, text: str, error: FleetError) -> None:
        self.report(State("trouble", text, fix=error.fix))
