"""`make libraries`: are the locked libraries inside the time frames of docs/security.md? Changes nothing.

Asks the advisories of the Python Package Index (pip-audit, in a folder of its own) about every locked
version. A finding has to be decided on at once: by an update, or by a line of docs/library-findings.csv,
which says how bad it is here and since when it is known. From that day its time frame runs. What could not
be looked up is not fine, it is unknown. And the lock file itself must not grow old.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK, FINDINGS = ROOT / "requirements.lock", ROOT / "docs" / "library-findings.csv"
DAYS = {"critical": 7, "high": 30, "medium": 90, "low": 90, "not-affected": 365}
LOCK_DAYS = 92  # all of them are looked through and locked anew at least once a quarter


def overdue(
    dependencies: Sequence[Mapping[str, Any]],
    known: Iterable[Mapping[str, str]],
    *,
    today: date,
    locked: date,
) -> list[str]:
    """What is to be done now, a sentence each; nothing: all is inside its time frame."""
    decided = {row["id"]: row for row in known}
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    found = [f"{len(skipped)} could not be looked up: {', '.join(skipped)}"] if skipped else []
    for each in dependencies:
        for advisory in each.get("vulns", ()):
            names = [advisory["id"], *advisory.get("aliases", ())]
            row = next((decided[name] for name in names if name in decided), None)
            fixed = ", ".join(advisory.get("fix_versions", ())) or "no version yet"
            about = f"{each['name']} {each['version']}: {names[0]} (fixed in {fixed})"
            if row is None:
                found.append(f"{about} is new: update, or add it to {FINDINGS.name}")
            elif today > (until := _until(row)):
                found.append(f"{about} is {row['severity']} and was to be gone by {until}")
    if today - locked > timedelta(days=LOCK_DAYS):
        found.append(
            f"the lock file is of {locked}, older than {LOCK_DAYS} days: make lock, and run the tests"
        )
    return found


def _until(row: Mapping[str, str]) -> date:
    return date.fromisoformat(row["known_since"]) + timedelta(days=DAYS[row["severity"]])


def _audited() -> Sequence[Mapping[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "pip-audit"]
        subprocess.run(pip, check=True)
        ask = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip"]
        done = subprocess.run(
            [*ask, "-f", "json"],
            env={**os.environ, "PYTHONPATH": folder},
            stdout=subprocess.PIPE,
            check=False,
        )
    if not done.stdout:
        sys.exit("pip-audit could not look; is there a network?")
    found: Sequence[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    return found


def _locked() -> date:
    """When the lock file was changed last."""
    ask = ["git", "-C", str(ROOT), "log", "-1", "--format=%cI", "--", LOCK.name]
    told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    at = datetime.fromisoformat(told) if told else datetime.fromtimestamp(LOCK.stat().st_mtime, UTC)
    return at.date()


def main() -> int:
    with FINDINGS.open() as file:
        known = list(csv.DictReader(file))
    todo = overdue(_audited(), known, today=datetime.now(UTC).date(), locked=_locked())
    print("\n".join(todo) or "every library is inside its time frame")
    return 1 if todo else 0


if __name__ == "__main__":
    sys.exit(main())
