"""Starts, asks and stops the lab's process. Cheap to import; the machines live in that other process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inventory.errors import BusyError, NodeError, OperatorError
from iso.lab.spec import LabInfo, LabSpec, layout

_START_SECONDS = 60.0
_POLL = 0.03
_LEAST = 1024 * 1024  # bytes that a lab needs to say why it ended


def folder(home: Path) -> Path:
    return home / "lab"


def socket_path(lab: Path) -> Path:
    return lab / "control.sock"


def failure_path(lab: Path) -> Path:
    return lab / "failed.json"


def start(home: Path, spec: LabSpec, *, seconds: float = _START_SECONDS) -> LabInfo:
    """Start the lab and wait until every machine is up. A lab that runs with the same spec is kept."""
    running = info(home)
    if running is not None:
        if running.spec != spec:
            raise BusyError(
                "a lab with another layout runs",
                where=str(folder(home)),
                fix="stop it with `cto lab down` first",
            )
        return _wait(home, None, seconds)
    layout(spec)  # refuse an impossible one here, where the message reaches the caller
    lab = folder(home)
    lab.mkdir(mode=0o700, parents=True, exist_ok=True)
    (lab / "spec.json").write_text(json.dumps(spec.to_dict()))
    failure_path(lab).unlink(missing_ok=True)
    with (lab / "lab.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "iso.lab", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives the terminal
            cwd="/",
        )
    return _wait(home, process, seconds)


def _wait(home: Path, process: "subprocess.Popen[bytes] | None", seconds: float) -> LabInfo:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = info(home)
        if found is not None and found.ready:
            return found
        if process is not None and process.poll() is not None:
            raise _failure(folder(home))
        time.sleep(_POLL)
    raise NodeError(
        "the lab's machines did not come up in time",
        where=str(folder(home)),
        fix="see lab.log in that folder",
    )


def _failure(lab: Path) -> OperatorError:
    try:
        said = json.loads(failure_path(lab).read_text())
    except (OSError, ValueError):
        if shutil.disk_usage(lab).free < _LEAST:
            return OperatorError(
                "the disk is full", where=str(lab), fix="free some disk space, then try again"
            )
        log = (lab / "lab.log").read_text(errors="replace").strip().splitlines()
        said = {
            "what": "the lab ended at once: " + (log[-1] if log else "it said nothing"),
            "fix": f"see {lab / 'lab.log'}",
        }
    return OperatorError(said["what"], where=str(lab), fix=said["fix"])


def info(home: Path) -> LabInfo | None:
    """The running lab, or None."""
    try:
        answer = _ask(home, {"op": "info"})
    except OSError:
        return None
    return LabInfo.from_dict(answer["info"])


def command(home: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """One operation: info, fault, clear, power, log, clock, disks. Raises OperatorError if it is refused."""
    try:
        answer = _ask(home, request)
    except OSError as error:
        raise OperatorError(
            "no lab runs", where=str(folder(home)), fix="start one with `cto lab up`"
        ) from error
    if not answer.get("ok"):
        raise OperatorError(answer.get("what", "the lab did not understand"), fix=answer.get("fix", ""))
    return answer


def stop(home: Path, *, keep_disks: bool = False, seconds: float = 15.0) -> bool:
    """Stop the lab, wait until it ended, remove its machines' disks; False if none ran."""
    running = info(home)
    if running is not None:
        _end(running, seconds)
    if not keep_disks:
        shutil.rmtree(folder(home) / "disks", ignore_errors=True)
    return running is not None


def _end(running: LabInfo, seconds: float) -> None:
    os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + seconds
    while _alive(running.pid):
        if time.monotonic() > end:
            os.kill(running.pid, signal.SIGKILL)
            break
        time.sleep(_POLL)


def _alive(pid: int) -> bool:
    """Does the process run? One that ended and was not collected counts as ended."""
    try:
        done, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        done = 0
    if done == pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _ask(home: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises OSError if nobody answers."""
    path = socket_path(folder(home))
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            # Paths of sockets are short; a folder's descriptor stands for the folder.
            connection.connect(f"/proc/self/fd/{descriptor}/{path.name}")
            connection.sendall(json.dumps(dict(request)).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    finally:
        os.close(descriptor)
    if not line:
        raise ConnectionResetError("the lab hung up")
    answer: dict[str, Any] = json.loads(line)
    return answer
