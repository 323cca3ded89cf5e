"""Grants and those who hold them: a level, within the sites that carry certain labels. Pure.

The word *role* belongs to nodes. Whether a password is right is decided elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from inventory.errors import OperatorError

SITE_LABEL = "site"  # every site carries its own name under this label
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")  # of an account; also safe in an audit row and in a path


class Level(IntEnum):
    """Each may do what the one before may."""

    VIEWER = 1
    OPERATOR = 2  # acts: freeze, pause, abort, approve, acknowledge
    ADMIN = 3  # accounts, tokens, keys

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Level":
        try:
            return cls[word.upper()]
        except KeyError:
            known = ", ".join(each.word for each in cls)
            raise OperatorError(f"there is no grant {word[:40]!r}", fix=f"name one of {known}") from None


@dataclass(frozen=True, slots=True)
class Grant:
    """`labels` empty: the whole fleet. Otherwise sites that carry all of them."""

    level: Level
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Grant":
        """As in `viewer`, `operator:site=berlin` or `admin:region=eu,tier=edge`."""
        word, _, scope = text.strip().partition(":")
        labels = {}
        for part in scope.split(",") if scope else ():
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not _LABEL.fullmatch(key) or not _LABEL.fullmatch(value):
                raise OperatorError(
                    f"{part[:60]!r} is not a label of a site",
                    fix="write KEY=VALUE, as in operator:site=berlin or viewer:region=eu,tier=edge",
                )
            labels[key] = value
        return cls(Level.parse(word), tuple(sorted(labels.items())))

    def covers(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.labels)

    def __str__(self) -> str:
        scope = ",".join(f"{key}={value}" for key, value in self.labels)
        return f"{self.level.word}:{scope}" if scope else self.level.word


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognized: an account in a session, or an API token."""

    account: str
    method: str  # password, password+totp, code, token
    grants: tuple[Grant, ...]
    source: str = ""  # the address it comes from
    token_id: str = ""  # of an API token
    began_at: str = ""
    session: str = ""  # a short digest that names it
    fresh: bool = True  # logged in a short while ago
    owes_factor: bool = False  # the organization asks for a second factor, which was not set up yet
    csrf: str = field(default="", repr=False)  # what a form of this session has to carry

    @property
    def actor(self) -> str:
        """The name in events and audit rows."""
        return f"token:{self.token_id}:{self.account}" if self.token_id else f"user:{self.account}"

    @property
    def person(self) -> str:
        """For rules that need two people: a token is not another person than its owner."""
        return f"user:{self.account}"

    @property
    def highest(self) -> Level | None:
        return max((grant.level for grant in self.grants), default=None)

    @property
    def everywhere(self) -> bool:
        """Sees the whole fleet."""
        return self.may(Level.VIEWER)

    def may(self, level: Level, labels: Mapping[str, str] | None = None) -> bool:
        """At a site with these labels; None: anywhere, which only a grant without labels allows."""
        return any(
            grant.level >= level and (grant.covers(labels) if labels is not None else not grant.labels)
            for grant in self.grants
        )

    def may_somewhere(self, level: Level) -> bool:
        return any(grant.level >= level for grant in self.grants)


def labels_of(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """What grants are compared with."""
    return {**labels, SITE_LABEL: name}


def checked_name(name: str) -> str:
    """The name of an account, or OperatorError."""
    if not NAME.fullmatch(name):
        raise OperatorError(
            "this is not a name for an account",
            fix="2 to 32 letters: a to z, digits, dot, dash and underscore; a letter first",
        )
    return name
