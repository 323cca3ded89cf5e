"""What the console shows, as lines of text: 80 columns, 25 rows, or a serial line. Pure.

Whatever came from firmware or the network is made printable before it is drawn.
"""

import textwrap
from dataclasses import dataclass, field

from iso.environment.enrolling import Enrolling
from iso.environment.machine import Disk, Link, Machine, Writing

COLUMNS, ROWS = 80, 25
_BELOW = 6
_LEFT = 40
# Nothing is served: whoever reads this shall not look for a page.
SET_UP = "set up: F2 here, or cto discover on another computer; no web page is served"
_LOOKING = "on the controller: cto enroll open; F1 here takes its address"
_WRITING = "leave it on: it restarts by itself when that is done"
_HINT_SECURE = "Secure Boot is on. Talos will not start: turn it off in the firmware."


@dataclass(frozen=True, slots=True)
class Status:
    """All that is on the screen."""

    machine: Machine
    name: str
    fingerprint: str
    words: str
    url: str = ""
    disks: tuple[Disk, ...] = ()
    links: tuple[Link, ...] = ()
    work: str = "waiting for a controller"
    writing: bool = False  # to a disk
    enrolling: Enrolling | None = None
    keys: tuple[str, ...] = ()
    qr: tuple[str, ...] = field(default=(), repr=False)


def size(count: int) -> str:
    """Decimal, as disks are sold."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def work(controllers: int | None, writing: Writing | None, enrolling: Enrolling | None = None) -> str:
    """The state of the controller's work in a few words."""
    if writing is not None:
        share = f" {writing.done * 100 // writing.total} %" if writing.total else ""
        return f"installing{share}: {size(writing.done)} written to {writing.disk}"
    if enrolling is not None and enrolling.shown:
        return enrolling.shown
    if controllers is None:
        return "starting"
    return "a controller is connected" if controllers else "waiting for a controller"


def draw(status: Status) -> list[str]:
    """25 lines of at most 80 characters: facts on the left, the code on the right, trust and keys below."""
    left = [_fit(line, _LEFT) for line in _facts(status)]
    rows = ROWS - _BELOW
    body = [f"{_at(left, row):<{_LEFT}} {_at(status.qr, row)}".rstrip() for row in range(rows)]
    return [*body, *_below(status, ROWS - len(body))]


def _at(lines: "list[str] | tuple[str, ...]", row: int) -> str:
    return lines[row] if row < len(lines) else ""


def _below(status: Status, rows: int) -> list[str]:
    """What to compare, what happens, and what to do about it; the keys always on the last row."""
    lines = [
        status.words,
        f"host key {status.fingerprint}",
        *_wrapped(f"> {status.work}"),
        *(row for text in how(status) for row in _wrapped(text)),
    ][: rows - 1]
    lines += [""] * (rows - 1 - len(lines))
    return [_fit(line, COLUMNS - 1) for line in [*lines, "  ".join(status.keys)]]


def _wrapped(text: str) -> list[str]:
    """At most two rows, the second of them set in. Anything longer is cut off where it is drawn."""
    if not text:
        return []
    rows = textwrap.wrap(printable(text), COLUMNS - 1, subsequent_indent="  ")
    return [rows[0], *([" ".join([rows[1], *(row.strip() for row in rows[2:])])] if len(rows) > 1 else [])]


def how(status: Status) -> tuple[str, ...]:
    """What a person does next: compare the enrolment's words, or set the machine up."""
    enrolling = status.enrolling
    if status.writing:
        return (_WRITING,)
    if enrolling is None:
        return (SET_UP,)
    if enrolling.state == "approved":
        return (enrolling.text,)
    if enrolling.words:
        return (enrolling.words, "compare these words on the controller: cto enroll list")
    return (enrolling.fix or _LOOKING,)


def _facts(status: Status) -> list[str]:
    machine = status.machine
    lines = [
        "Platform-in-a-Box",
        "",
        f"{machine.vendor} {machine.product}".strip() or "unknown machine",
        f"serial {machine.serial or 'unknown'}",
        f"memory {machine.memory / 2**30:.1f} GiB, {machine.firmware}"
        + (", Secure Boot" if machine.secure_boot else ""),
        *(textwrap.wrap(_HINT_SECURE, _LEFT) if machine.secure_boot else ()),
        "",
        *(f"{disk.name:<8} {size(disk.size):>8} {disk.model}" for disk in status.disks[:5]),
    ]
    if len(status.disks) > 5:
        lines.append(f"and {len(status.disks) - 5} more disks")
    lines += [] if status.disks else ["no disk found"]
    return [*lines, "", *_network(status)]


def _network(status: Status) -> list[str]:
    if not status.links:
        return ["no network card found (firmware missing?)"]
    lines = []
    for link in status.links[:4]:
        state = ", ".join(link.addresses[:1]) or ("no address yet" if link.up else "no link")
        lines.append(f"{link.name} {state}")
    return [*lines, "", status.name, *([status.url.split("#", maxsplit=1)[0]] if status.url else [])]


def serial(status: Status) -> list[str]:
    """The same for a line without a cursor: one block of text when something important changed."""
    text = [*_facts(status), status.words, f"host key {status.fingerprint}", *how(status)]
    text += [status.work]
    return ["", *(printable(row) for row in text), "keys: " + "  ".join(status.keys).replace("F", ""), ""]


def line(status: Status) -> str:
    """One line for programs that read the serial port."""
    addresses = [address.split("/")[0] for link in status.links for address in link.addresses]
    row = {
        "name": status.name,
        "address": addresses[0] if addresses else "-",
        "fingerprint": status.fingerprint,
        "words": "-".join(status.words.split()[1:]),
        "work": status.work.replace(" ", "_"),
    }
    if status.enrolling is not None:
        row["enroll"] = f"{status.enrolling.state}:{'-'.join(status.enrolling.words.split()[1:])}"
    return "CTO-STATUS " + " ".join(f"{key}={printable(value)}" for key, value in row.items())


def printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _fit(text: str, width: int) -> str:
    clean = printable(text)
    return clean if len(clean) <= width else clean[: width - 1] + "~"
