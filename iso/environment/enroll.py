"""Enrols the booted machine by the token in its image: `python -m iso.environment.enroll`.

Writes its state to /run/cto/enroll-state.json for the console and to standard output. Installs nothing:
once it is approved the controller comes in by SSH.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from inventory.errors import OperatorError
from inventory.openssh import parse_public_key
from iso.enroll import hardware, tpm
from iso.enroll.client import Enroller, State
from iso.enroll.config import PATH, EnrollConfig
from iso.enroll.find import MdnsFinder
from iso.enroll.kept import Kept, replace_file
from roles.enrollment.node import Node
from roles.enrollment.token import Token

HOST_KEY = "run/ssh/host_ed25519.pub"
STATE, TYPED, KEPT = "run/cto/enroll-state.json", "run/cto/enroll-address", "run/cto/enroll-kept.json"
DONE, INPUT, REJECTED = 0, 2, 5


def line(state: State) -> str:
    """For programs that read the journal or a serial port."""
    row = {
        "state": state.state,
        "words": "-".join(state.words.split()[1:]),
        "controller": state.controller,
        "node": state.node,
        "text": state.text.replace(" ", "_"),
    }
    return "CTO-ENROLL " + " ".join(f"{key}={value}" for key, value in row.items() if value)


class Reporter:
    """Tells each state once."""

    def __init__(self, root: Path) -> None:
        self._path = root / STATE
        self._last: State | None = None

    def __call__(self, state: State) -> None:
        if state == self._last:
            return
        self._last = state
        replace_file(self._path, json.dumps(asdict(state)), 0o644)
        print(line(state), flush=True)  # noqa: T201 - the program's output


def enroller(root: Path, report: Reporter) -> Enroller:
    """Everything read from files below `root`. Raises OperatorError."""
    try:
        config = EnrollConfig.read((root / PATH).read_text(encoding="utf-8"))
        host_key = (root / HOST_KEY).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"it can't be read: {error}",
            where=str(root / PATH),
            fix="build the image with cto iso build --site FILE",
        ) from error
    kept = Kept.load(root / KEPT)
    name = (root / "proc/sys/kernel/hostname").read_text(encoding="ascii").strip()
    ids = hardware.read(root)
    if (root / tpm.DEVICE).exists() and (key := tpm.endorsement_key(root / "run/cto")):
        ids["tpm_ek"] = key
    node = Node(name, kept.seed, parse_public_key(host_key).blob, ids)
    return Enroller(
        node,
        Token.from_text(config.token),
        kept,
        report,
        pin=bytes.fromhex(config.pin),
        places=config.invitations(),
        finder=MdnsFinder() if config.mdns else None,
        typed=lambda: _typed(root / TYPED),
    )


def _typed(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:400]
    except OSError:
        return ""


def main(root: Path = Path("/")) -> int:
    report = Reporter(root)
    try:
        verdict = asyncio.run(enroller(root, report).run())
    except OperatorError as error:
        report(State("trouble", error.what, fix=error.fix))
        return INPUT
    return DONE if verdict.state == "approved" else REJECTED


if __name__ == "__main__":
    sys.exit(main())
