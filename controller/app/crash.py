"""The four moments of a step at which tests kill the controller. Does nothing unless told by the environment.

`CTO_CRASH_AT=<step>:<point>` (points: inventory.lifecycle.KILL_POINTS) ends the process as SIGKILL would, at
whichever node or cluster gets there first; `CTO_CRASH_AT=<step>:<point>:<name>` waits for that one.
"""

import os
import signal


def crash_point(step: str, point: str, name: str) -> None:
    """Kills this process, without any clean-up, if the environment names this step, point and subject."""
    if os.environ.get("CTO_CRASH_AT") in (f"{step}:{point}", f"{step}:{point}:{name}"):
        os.kill(os.getpid(), signal.SIGKILL)
