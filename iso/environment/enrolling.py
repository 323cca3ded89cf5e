"""How far the machine's enrolment is, from the file that the enrolling program keeps. Enrols nobody."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE = Path("/run/cto/enroll-state.json")
ADDRESS = Path("/run/cto/enroll-address")  # a typed address, read before each attempt


@dataclass(frozen=True, slots=True)
class Enrolling:
    """`words` are to be compared while the state is `waiting`."""

    state: str
    text: str
    words: str = ""
    fix: str = ""

    @property
    def shown(self) -> str:
        """What the machine does, as long as that is to enrol."""
        return "" if self.state == "approved" else self.text


def read(path: Path = STATE) -> Enrolling | None:
    """None on an image that does not enrol, or as long as it has not begun."""
    try:
        row: Any = json.loads(path.read_text(encoding="utf-8"))
        return Enrolling(*(str(row.get(name) or "") for name in ("state", "text", "words", "fix")))
    except (OSError, ValueError, AttributeError):
        return None
