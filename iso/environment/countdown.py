"""The time before an image does what it was made for without a key pressed. Any key stops it, Enter goes on.

What waits for it looks for one file: SSH on the image of one node, enrolment on one that enrols.
"""

from dataclasses import dataclass
from pathlib import Path

GO = Path("/run/cto/go")


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the image. `node`: the one that it is for; `countdown`: seconds, if it does something unasked."""

    node: str = ""
    site: str = ""
    countdown: int = 0
    locked: bool = False
    enrolls: bool = False

    @property
    def purpose(self) -> str:
        if self.node:
            return f"{self.node}: will be installed"
        return f"{self.site}: will ask to be enrolled" if self.enrolls else ""


class Countdown:
    """What was decided stays decided if the console is started anew: it is kept beside `go`."""

    def __init__(self, chosen: Settings, *, now: float, go: Path = GO) -> None:
        self._purpose, self._end, self._go = chosen.purpose, now + chosen.countdown, go
        self._stop = go.with_name("stopped")
        self._stopped = self._stop.exists()
        self.over = not chosen.purpose or go.exists()

    def press(self, key: str) -> bool:
        """Whether the key was for the countdown."""
        if self.over:
            return False
        if self._stopped and key != "ENTER":
            return False  # it is stopped: other keys do what they always do
        self._stopped = key != "ENTER"
        if self._stopped:
            self._stop.parent.mkdir(parents=True, exist_ok=True)
            self._stop.touch()
        else:
            self._stop.unlink(missing_ok=True)
            self._end = 0.0
        return True

    def tick(self, now: float) -> str:
        """What to show; empty once it is over, which lets go what waits for it."""
        if not self.over and not self._stopped and now >= self._end:
            self.over = True
            self._go.parent.mkdir(parents=True, exist_ok=True)
            self._go.touch()
        if self.over:
            return ""
        if self._stopped:
            return f"{self._purpose.partition(':')[0]}: stopped; Enter goes on"
        return f"{self._purpose}; starting in {max(1, round(self._end - now))} s, any key stops"
