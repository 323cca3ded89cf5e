"""What a machine keeps of its enrolment while it runs: its node key, and which words belong to which attempt.

In memory only (/run): after a restart of the machine it is a new one to the controller, with new keys.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

_MOST = 64  # attempts that are remembered


@dataclass(slots=True)
class Kept:
    """`sessions`: digest of a transcript, hex → its six words."""

    seed: bytes = field(repr=False)
    path: Path | None = None  # None: in this process only
    sessions: dict[str, str] = field(default_factory=dict)

    def remember(self, session: bytes, words: str) -> None:
        """Before the request is sent: an answer that is lost may come with a later attempt."""
        self.sessions[session.hex()] = words
        while len(self.sessions) > _MOST:
            del self.sessions[next(iter(self.sessions))]
        self.save()

    def words(self, session: bytes) -> str:
        """Empty for an attempt that was not ours."""
        return self.sessions.get(session.hex(), "")

    def save(self) -> None:
        if self.path is None:
            return
        replace_file(self.path, json.dumps({"seed": self.seed.hex(), "sessions": self.sessions}))

    @classmethod
    def load(cls, path: Path) -> "Kept":
        """What is there, else a new key."""
        try:
            body = json.loads(path.read_text(encoding="ascii"))
            return cls(bytes.fromhex(body["seed"]), path, dict(body["sessions"]))
        except (OSError, ValueError, KeyError, TypeError):
            made = cls(os.urandom(32), path)
            made.save()
            return made


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
