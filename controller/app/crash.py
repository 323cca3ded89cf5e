"""The four moments of a step at which tests kill or stop the controller. Nothing happens unless told to.

`CTO_CRASH_AT=<step>:<point>` (points: inventory.lifecycle.KILL_POINTS) ends the process as SIGKILL would, at
whichever node or cluster gets there first; `CTO_CRASH_AT=<step>:<point>:<name>` waits for that one.
`CTO_STOP_AT=<file>` stops the process (SIGSTOP) at every moment, after a line of that form was added to the
file: whoever watches it kills it there, lets a machine fail, or lets it go on (SIGCONT).
"""

import os
import signal


def crash_point(step: str, point: str, name: str) -> None:
    """Kills or stops this process, without any clean-up, if the environment asks for it here."""
    if os.environ.get("CTO_CRASH_AT") in (f"{step}:{point}", f"{step}:{point}:{name}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if told := os.environ.get("CTO_STOP_AT"):
        with open(told, "a", encoding="utf-8") as moments:  # noqa: PTH123 -- imported by every engine: keep it light
            moments.write(f"{step}:{point}:{name}\n")
        os.kill(os.getpid(), signal.SIGSTOP)
