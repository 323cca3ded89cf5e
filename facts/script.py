"""All facts of one machine in one round trip: one shell script out, its framed output parsed apart.

Each fact's output stands between two lines that begin with a boundary: `BOUNDARY name`, then the output,
then `BOUNDARY = status length`. The boundary is random per script, so no model name or label on the machine
can forge a frame. Standard error carries the first kind of line too. Transport, time and retries are the
caller's; so is the choice of the boundary.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

from facts.limits import decode, word
from facts.snapshot import Facts
from facts.spec import FactError, FactProblem, FactSpec, Raw
from inventory.errors import InvariantError

MAX_STDERR = 4096
_TIMED_OUT = 124  # what timeout(1) says
_NOT_FOUND = 127
_CLOSING = re.compile(r"= ([0-9]{1,3}) ([0-9]{1,12})")

T = TypeVar("T")
Specs = Iterable[FactSpec[Any]]


def build(specs: Specs, *, boundary: str) -> str:
    """The script. `boundary`: 16 to 64 letters and digits, new for every script."""
    if not (16 <= len(boundary) <= 64 and boundary.isalnum() and boundary.isascii()):
        raise InvariantError("a frame boundary must be 16 to 64 ASCII letters and digits")
    lines = [
        "LC_ALL=C; export LC_ALL",
        "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH",
        f"b={boundary}",
        *(_framed(spec) for spec in specs),
    ]
    return "\n".join(lines) + "\n"


def _framed(spec: FactSpec[Any]) -> str:
    # Into a variable and out again by the shell's own printf: half the processor time of a pipe to head(1),
    # and the status and the full length are known even if the output is cut.
    return (
        f"printf '\\n%s {spec.name}\\n' $b >&2\n"
        f"o=$({spec.command})\n"
        f"printf '\\n%s {spec.name}\\n%.{spec.cap}s\\n%s = %s %s\\n' $b \"$o\" $b $? ${{#o}}"
    )


def deadline(specs: Specs) -> float:
    """Seconds that the script may take at worst, on a machine where every tool hangs."""
    return 15.0 + sum(spec.seconds for spec in specs)


def split(output: bytes, specs: Specs, boundary: str, *, stderr: bytes = b"") -> dict[str, Raw]:
    """The answer of each fact that was reached. Takes any bytes and never raises."""
    errors = dict(_frames(stderr, boundary))
    frames = _frames(output, boundary)
    wanted = {spec.name: spec.cap for spec in specs}
    found: dict[str, Raw] = {}
    for (name, body), (after, _) in pairwise([*frames, ("", b"")]):
        if name not in wanted or name in found:
            continue
        status, length = _closing(after)
        found[name] = Raw(
            status=status,
            stdout=body[: wanted[name]],
            stderr=errors.get(name, b"")[:MAX_STDERR],
            truncated=length < 0 or max(length, len(body)) > wanted[name],
        )
    return found


def _frames(stream: bytes, boundary: str) -> list[tuple[str, bytes]]:
    """Head line and body of each frame, in order. What comes before the first one is not ours."""
    frames = []
    for piece in stream.split(b"\n" + boundary.encode() + b" ")[1:]:
        head, _, body = piece.partition(b"\n")
        frames.append((head[:64].decode("ascii", "replace"), body))
    return frames


def _closing(head: str) -> tuple[int, int]:
    """Exit status and length of the whole output from `= 0 1234`; -1 each if there is no such line."""
    match = _CLOSING.fullmatch(head)
    return (int(match[1]), int(match[2])) if match else (-1, -1)


def parse_all(raws: Mapping[str, Raw], specs: Specs) -> Facts:
    """Every fact that can be read, and a problem for each that can't. One bad fact never spoils another."""
    values: dict[str, Any] = {}
    problems: list[FactProblem] = []
    for spec in specs:
        raw = raws.get(spec.name)
        try:
            values[spec.name] = read(spec, raw)
        except FactError as error:
            problems.append(FactProblem(spec.name, error.what))
        except Exception as error:  # noqa: BLE001 - our bug in one parser must not cost the other facts
            problems.append(
                FactProblem(spec.name, f"our parser failed ({type(error).__name__}); report this")
            )
        else:
            problems += (FactProblem(spec.name, what) for what in _incomplete(raw, values[spec.name]))
    return Facts(values=values, problems=tuple(problems))


def read(spec: FactSpec[T], raw: Raw | None) -> T:
    """The value of one answer. Raises FactError with the reason, in words for the operator."""
    if raw is None:
        raise FactError("no answer: the machine did not get that far")
    if failure := _failure(spec, raw):
        raise FactError(failure)
    return spec.parse(decode(raw.stdout))


def _failure(spec: FactSpec[Any], raw: Raw) -> str:
    """Why an answer isn't worth parsing; "" if it is."""
    if raw.truncated and spec.strict:
        return "the answer was cut off" if raw.status == -1 else f"the answer is longer than {spec.cap} bytes"
    if raw.status == 0 or (not spec.strict and raw.stdout.strip()):
        return ""
    if raw.status == _TIMED_OUT:
        return "no answer in time: a tool hangs on this machine"
    complaint = _complaint(raw)
    if raw.status == _NOT_FOUND:
        return f"a tool is missing on the machine ({complaint or spec.command})"
    return f"the command ended with status {raw.status}" + (f": {complaint}" if complaint else "")


def _complaint(raw: Raw) -> str:
    """The first line that the command wrote to standard error."""
    return next((text for line in decode(raw.stderr).splitlines() if (text := word(line))), "")


def _incomplete(raw: Raw | None, value: object) -> Iterable[str]:
    if raw is None:
        return
    if raw.truncated:
        yield "the answer was cut off; only its complete part was read"
    elif raw.status == _TIMED_OUT:
        yield "not finished in time; only a part was read"
    elif raw.status == _NOT_FOUND:
        yield f"incomplete: a tool is missing on the machine ({_complaint(raw)})"
    omitted = getattr(value, "omitted", 0)
    if omitted:
        yield f"{omitted} entries over the limit were left out"
