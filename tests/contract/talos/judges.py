"""The official configuration libraries as judges: one program per Talos minor, asked by JSON lines.

The pinned versions are the newest that could be had as a Go module with a checksum in the public database, so
some are not a minor's last. Judges nothing itself.
"""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MINORS = ("1.8", "1.9", "1.10", "1.11", "1.12", "1.13", "1.14")


@cache
def program(minor: str) -> str:
    """The minor's judge, built if it is not there yet."""
    made = subprocess.run([HERE / "build.sh", minor], capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"the judge of Talos {minor} could not be built:\n{made.stderr[-2000:]}")
    return made.stdout.strip()


def ask(minor: str, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One answer per request, in order."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([program(minor)], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(minor: str, configs: Sequence[str]) -> list[str]:
    """What is wrong with each text, warnings included; empty where it is accepted."""
    answers = ask(minor, [{"op": "check", "config": config} for config in configs])
    return ["; ".join([*filter(None, [a["error"]]), *(a["warnings"] or ())]) for a in answers]


def read(minor: str, config: str) -> str:
    """The documents as the library understood and wrote them again."""
    [answer] = ask(minor, [{"op": "read", "config": config}])
    if answer["error"]:
        raise RuntimeError(answer["error"])
    return str(answer["config"])


def patched(minor: str, config: str, patches: Sequence[str]) -> str:
    """The documents as the official patcher leaves them."""
    [answer] = ask(minor, [{"op": "patch", "config": config, "patches": list(patches)}])
    if answer["error"]:
        raise RuntimeError(answer["error"])
    return str(answer["config"])


def generate(minor: str, contract: str, **values: str) -> dict[str, str]:
    """What the official generator makes from a bundle, by role."""
    [answer] = ask(minor, [{"op": "generate", "contract": f"v{contract}", **values}])
    if answer["error"]:
        raise RuntimeError(answer["error"])
    return {role: answer[role] for role in ("controlplane", "worker")}
