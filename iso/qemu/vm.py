"""One running virtual machine: power, console, screen. Knows nothing of what runs in it."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inventory.errors import NodeError, Unreachable
from iso.qemu.spec import VmSpec, command, serial, variables, variables_template

_STARTS = 120.0  # seconds in which QEMU opens its control socket, on a computer with much else to do
_STUCK = 240.0  # seconds without CPU time or output after which a machine counts as stuck


class Vm:
    """`prefix`: a command to run QEMU under, such as `ip netns exec lab`."""

    def __init__(self, spec: VmSpec, folder: Path, *, prefix: Sequence[str] = ()) -> None:
        self.spec, self.folder, self._prefix = spec, folder, tuple(prefix)
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Any = None
        self._from = 0
        folder.mkdir(parents=True, exist_ok=True)
        if spec.firmware != "bios" and not variables(folder).exists():
            shutil.copyfile(variables_template(spec.firmware), variables(folder))

    @property
    def log(self) -> Path:
        return self.folder / "serial.log"

    def power_on(self) -> None:
        """Starts QEMU. What the serial port says from now on is a new log."""
        for name in ("serial.log", "serial", "qmp"):
            (self.folder / name).unlink(missing_ok=True)
        argv = [*self._prefix, *command(self.spec, self.folder)]
        with (self.folder / "qemu.log").open("wb") as output:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._qmp, self._from = None, 0

    def answers(self) -> None:
        """Returns once QEMU runs; raises Unreachable with what it said if it ended instead. Until then its
        process may still be the program that it is run under, and is not to be known by its command line.
        """
        self.qmp("query-status")

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def cpu_seconds(self) -> float:
        """How much processor time QEMU had: says more about a slow boot than the clock."""
        if self._process is None or not self.running:
            return 0.0
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cut_power(self) -> None:
        """At once, as a pulled plug: what the guest had not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def power_off(self) -> None:
        """Ends QEMU in order."""
        if self.running and self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.cut_power()

    def serial(self) -> str:
        """All that the serial port said since power came on."""
        return self.log.read_bytes().decode("utf-8", "replace") if self.log.exists() else ""

    def mark(self) -> None:
        """`wait_for` looks at what comes after this."""
        self._from = len(self.serial())

    def wait_for(
        self, pattern: str, *, cpu: float = 600, unless: Callable[[], bool] = lambda: False
    ) -> "re.Match[str]":
        """Until the serial port says `pattern`. Gives up when the machine had `cpu` seconds of processor time
        or stood still, so that a busy computer makes it slow but not wrong; and when `unless` says so.
        """
        spent, moved = self.cpu_seconds, time.monotonic()
        last = spent
        while True:
            match = re.search(pattern, self.serial()[self._from :])
            if match:
                return match
            now = self.cpu_seconds
            if now > last + 0.5:
                last, moved = now, time.monotonic()
            if not self.running or unless() or now - spent > cpu or time.monotonic() - moved > _STUCK:
                raise Unreachable(self._why(pattern, now), where=self.spec.name, fix=f"look at {self.log}")
            time.sleep(0.1)

    def _why(self, pattern: str, now: float) -> str:
        state = f"after {now:.0f} s of processor time" if self.running else "and ended"
        tail = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.serial())[-600:]
        said = (self.folder / "qemu.log").read_text(errors="replace")[-300:]
        return f"it never said {pattern!r} {state}; at the end it said: {tail.strip()!r} {said}"

    # --- QEMU's control socket ---

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """One command of QEMU's machine protocol."""
        try:
            return self._ask(json.dumps({"execute": execute, "arguments": arguments}))
        except OSError as error:  # it ended while it was asked
            raise self._gone(f"QEMU closed its control socket: {error}") from error

    def _ask(self, message: str) -> Any:
        if self._qmp is None:
            self._qmp = self._connect()
        self._qmp.write(message + "\n")
        self._qmp.flush()
        while line := self._qmp.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise NodeError(f"QEMU: {answer['error'].get('desc', answer)}", where=self.spec.name)
            if "return" in answer:
                return answer["return"]
        raise self._gone("QEMU closed its control socket")

    def _connect(self) -> Any:
        end = time.monotonic() + _STARTS
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(self.folder / "qmp"))
                break
            except OSError as error:
                link.close()
                if time.monotonic() > end or not self.running:
                    raise self._gone(f"QEMU does not answer: {error}") from error
                time.sleep(0.05)
        stream = link.makefile("rw")
        link.close()  # the stream keeps it open
        stream.readline()  # the greeting
        stream.write(json.dumps({"execute": "qmp_capabilities"}) + "\n")
        stream.flush()
        stream.readline()
        return stream

    def _gone(self, what: str) -> Unreachable:
        """With the last that QEMU itself said: that mostly is the reason."""
        said = (self.folder / "qemu.log").read_text(errors="replace")[-300:].strip()
        return Unreachable(f"{what} {said}".strip(), where=self.spec.name, fix=f"look at {self.folder}")

    def screenshot(self, target: Path) -> Path:
        """What is on the screen, as PNG."""
        self.qmp("screendump", filename=str(target.absolute()), format="png")
        return target

    def type(self, text: str) -> None:
        """At the other end of the serial port, and only for as long as that takes: while somebody listens
        there and does not keep up, QEMU writes to the log twice what it has to send again.
        """
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(serial(self.folder)))
            line.sendall(text.encode())
            while _unread(line) and self.running:
                time.sleep(0.01)

    def press(self, *keys: str) -> None:
        """Keys by QEMU's names: `f2`, `ret`."""
        for key in keys:
            self.qmp("send-key", keys=[{"type": "qcode", "data": key}])


def _unread(line: socket.socket) -> int:
    """Bytes that the other end has not taken yet."""
    answer: bytes = fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
