"""The dialog behind F3: a prompt that takes commands of `cto` and nothing else. `python -m` on a terminal.

In a locked image only those are taken that read no file and start no program of somebody's choice.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence

from iso.environment import ask

# A locked image holds things that whoever stands in front of it shall not read.
LOCKED = ("doctor", "discover", "setup", "--help", "-h", "--version", "help")


def understand(text: str, *, locked: bool) -> tuple[str, ...]:
    """The words after `cto`; the word itself may be typed or not. Raises ValueError for what is not taken."""
    words = shlex.split(text)
    if words[:1] == ["cto"]:
        words = words[1:]
    if locked and words and words[0] not in LOCKED:
        raise ValueError(f"this image is locked: only {', '.join(LOCKED[:3])} and --help")
    return ("--help",) if words[:1] == ["help"] else tuple(words)


def main(argv: Sequence[str]) -> None:
    locked = "--locked" in argv
    ask.say("Such as: discover, setup init --help. Enter alone goes back.")
    while True:
        try:
            words = ask.ask("cto", lambda text: understand(text, locked=locked))
        except ask.Left:
            return
        if not words:
            return
        try:
            subprocess.run(["cto", *words], check=False)
        except KeyboardInterrupt:
            ask.say()


if __name__ == "__main__":
    main(sys.argv[1:])
