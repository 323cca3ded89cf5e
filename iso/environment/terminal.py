"""Where the console is shown and keys are pressed: the machine's screen, and serial lines.

A program that is started from a key has the terminal to itself until it ends; the other terminals go on.
"""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import termios
import tty
from collections.abc import Sequence
from pathlib import Path

from iso.environment.keys import Keys

_CLEAR, _HIDE, _SHOW, _WHITE, _PLAIN = "\x1b[2J\x1b[H", "\x1b[?25l", "\x1b[?25h", "\x1b[37;40;1m", "\x1b[0m"
_OPEN = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK
_ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Terminal:
    """`descriptor` is open on a terminal, which is put into a mode without echo."""

    kind = "linux"

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.keys = Keys()
        self._program: subprocess.Popen[bytes] | None = None
        self._cooked = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)

    @property
    def busy(self) -> bool:
        return self._program is not None

    def pressed(self) -> list[str]:
        """Keys that wait to be read. Raises OSError if the line is gone."""
        try:
            data = os.read(self.descriptor, 64)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(errno.EIO, "the line was hung up")
        return self.keys.feed(data)

    def run(self, argv: Sequence[str], greeting: str, *, folder: str = "/root") -> None:
        """Gives the terminal to a program."""
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._cooked)
        self._text(f"{_PLAIN}{self._before()}{greeting}\r\n" if greeting else f"{_PLAIN}{self._before()}")
        own = os.open(os.ttyname(self.descriptor), _OPEN)
        try:
            fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) & ~os.O_NONBLOCK)
            self._program = subprocess.Popen(
                [*self._session(), *argv],
                stdin=own,
                stdout=own,
                stderr=own,
                cwd=folder,
                env={**_ENVIRONMENT, "TERM": self.kind},
            )
        finally:
            os.close(own)

    def ended(self) -> bool:
        """Whether a program has just ended, so that the terminal is ours again."""
        if self._program is None or self._program.poll() is None:
            return False
        self._program = None
        self._take_back()
        tty.setcbreak(self.descriptor)
        self.forget()
        return True

    def forget(self) -> None:
        """Somebody else drew on it."""

    def _session(self) -> tuple[str, ...]:
        """What makes the terminal the program's own, so that ^C reaches it."""
        return ()

    def _before(self) -> str:
        return ""

    def _take_back(self) -> None:
        """Whatever the program did to the terminal's foreground."""

    def _text(self, text: str) -> None:
        os.write(self.descriptor, text.encode("utf-8"))


class Screen(Terminal):
    """The one that this program was started on, which is its controlling terminal."""

    def __init__(self) -> None:
        super().__init__(sys.stdin.fileno())
        self._drawn: list[str] = []

    def draw(self, lines: list[str]) -> None:
        """Only what is new."""
        if not self.busy and lines != self._drawn:
            self._drawn = lines
            body = "\r\n".join(f"{_WHITE}{line}{_PLAIN}" for line in lines)
            self._text(f"{_HIDE}{_CLEAR}{body}")

    def forget(self) -> None:
        self._drawn = []

    def _before(self) -> str:
        return f"{_CLEAR}{_SHOW}"

    def _take_back(self) -> None:
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGTTOU}
        )  # only who is in front may say so otherwise
        try:
            os.tcsetpgrp(self.descriptor, os.getpgrp())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})


class Line(Terminal):
    """A serial line, on which text is added and nothing drawn."""

    kind = "vt100"

    def __init__(self, port: Path) -> None:
        super().__init__(os.open(port, _OPEN))
        self._port, self._said = port, ""

    def say(self, block: Sequence[str], said: str) -> None:
        """`said` where it is new; with the whole `block` where more than the work in it is."""
        if self.busy or said == self._said:
            return
        more = block if _place(said) != _place(self._said) else ()
        self._said = said
        try:
            os.write(
                self.descriptor, "".join(f"{line}\n" for line in (*more, said)).encode("ascii", "replace")
            )
        except BlockingIOError:
            return  # nobody reads it

    def forget(self) -> None:
        self._said = ""

    def _take_back(self) -> None:
        """The kernel hangs a terminal up when the session ends that it was the terminal of."""
        os.close(self.descriptor)
        self.descriptor = os.open(self._port, _OPEN)

    def _session(self) -> tuple[str, ...]:
        return ("setsid", "--ctty")


def lines(ports: Sequence[str]) -> list[Line]:
    """The serial lines that are really there."""
    found = []
    for port in ports:
        try:
            found.append(Line(Path("/dev") / port))
        except (OSError, termios.error):
            continue  # named on the kernel's command line, but not there
    return found


def _place(said: str) -> str:
    return said.partition(" work=")[0]
