"""Kubernetes' own types as a judge of objects: a Go program, built on demand and kept in artifacts/."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.contract.gobuild import program

HERE = Path(__file__).parent


def ask(texts: Sequence[str]) -> list[dict[str, Any]]:
    """For each YAML text: `error`, empty if Kubernetes takes every object, and the `kinds` it found."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([program(HERE)], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
