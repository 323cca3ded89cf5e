"""What a way of telling people must offer. Each is one file in `controller.adapters.notifiers`."""

from collections.abc import Mapping
from typing import Protocol

from controller.core.topics import Message


class Notifier(Protocol):
    @property
    def kind(self) -> str:
        """As operators name it: "email", "webhook"."""
        ...

    @property
    def secret(self) -> str:
        """What its secret is, in words; empty if it has none."""
        ...

    @property
    def needs_secret(self) -> bool: ...

    @property
    def fields(self) -> Mapping[str, str]:
        """Setting → one line of help."""
        ...

    def check(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """The settings, completed. Raises OperatorError naming the one that is wrong."""
        ...

    def send(self, settings: Mapping[str, str], secret: str, message: Message) -> None:
        """Hands the message over; blocks for seconds at most. Raises TransportError for what may work later,
        RefusedError for what won't.
        """
        ...


class Notifiers(Protocol):
    def get(self, kind: str) -> Notifier:
        """Raises OperatorError naming those there are."""
        ...

    def kinds(self) -> tuple[str, ...]: ...
