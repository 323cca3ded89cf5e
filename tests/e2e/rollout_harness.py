"""A lab of installed clusters and its rollouts, driven by the program; what was done is read from the lab and the store.

Waits are short: a lab machine boots in a second. Decides nothing about the product.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from iso.lab.sitefile import updates_file
from tests.e2e.harness import Done, LabHome

QUICK: Mapping[str, float] = {
    "look": 0.5,
    "soak": 1,
    "bake": 1,
    "health": 1,
    "drain": 30,
    "install": 30,
    "reboot": 30,
    "verify": 30,
    "soak_deadline": 30,
    "guard_wait": 60,
    "late_failure": 20,
    "backoff": 0.2,
    "backoff_cap": 1,
}
ONCE = ("upgrade", "install", "reboot", "back")


class Rollouts:
    """One lab home whose clusters are installed."""

    def __init__(self, lab: LabHome, **timing: float) -> None:
        self.lab = lab
        self.updates = Path(lab.home) / "lab" / "mine.yaml"
        self.declare(**timing)

    def declare(self, *, waves: tuple[int, ...] = (1, 100), window: Any = None, **timing: float) -> None:
        """Writes policy and window."""
        policy, always = yaml.safe_load_all(updates_file())
        policy["spec"]["waves"] = list(waves)
        policy["spec"]["timing"] = {**QUICK, **timing}
        always["spec"] |= window or {}
        self.updates.write_text(yaml.safe_dump_all([policy, always]))

    @property
    def files(self) -> tuple[str, ...]:
        return ("-f", str(self.lab.site), "-f", str(self.updates))

    def begin(self, *args: str) -> tuple[str, ...]:
        return ("rollout", "start", *self.files, *args, "--reason", "a test", "--yes", "--output", "json")

    def run(self, *args: str, code: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A rollout to its end; its status then."""
        self.lab.expect(code, *self.begin(*args), env=env, timeout=240)
        return self.status()

    def go_on(self, *, code: int = 0, env: Mapping[str, str] | None = None) -> Done:
        return self.lab.expect(code, "rollout", "start", "--output", "json", env=env, timeout=240)

    def status(self, rollout: str = "") -> dict[str, Any]:
        words = ("rollout", "status", *((rollout,) if rollout else ()), "--output", "json")
        found: dict[str, Any] = json.loads(self.lab.ok(*words).stdout)
        return found

    def nodes(self, status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        return {node["name"]: node for cluster in status["clusters"] for node in cluster["nodes"]}

    def acts(self, rollout: str, node: str = "") -> list[dict[str, Any]]:
        sql = "SELECT * FROM rollout_acts WHERE rollout = ? AND ? IN ('', node) ORDER BY rowid"
        return self.lab.rows(sql, rollout, node)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return self.lab.rows("SELECT * FROM events WHERE kind = ? ORDER BY id", kind)

    def spans(self, rollout: str) -> dict[str, list[tuple[datetime, datetime]]]:
        """When each node was on its way: from its start to its end, as the events tell."""
        found: dict[str, list[tuple[datetime, datetime]]] = {}
        begun: dict[str, datetime] = {}
        for event in self.lab.rows("SELECT * FROM events WHERE subject LIKE 'node/%' ORDER BY id"):
            if json.loads(event["data"]).get("rollout") != rollout:
                continue
            name, at = event["subject"].removeprefix("node/"), datetime.fromisoformat(event["at"])
            if event["kind"] == "RolloutNodeStarted":
                begun[name] = at
            elif re.fullmatch(r"RolloutNode(Committed|RolledBack|NeedsHands|Failed)", event["kind"]):
                found.setdefault(name, []).append((begun[name], at))
        return found

    def check_store(self) -> None:
        """The file is whole, the audit chain verifies, each act that was ordered has one row for its order and at
        most one for its end."""
        assert self.lab.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert self.lab.rows("PRAGMA foreign_key_check") == []
        verified = json.loads(self.lab.ok("audit", "verify", "--output", "json").stdout)
        assert verified["ok"] is True, verified
        acts = self.lab.rows("SELECT run, object, action FROM audit WHERE run IN (SELECT id FROM rollouts)")
        begun = Counter(
            (a["run"], a["object"], a["action"]) for a in acts if a["action"].startswith("begin ")
        )
        ordered = self.lab.rows("SELECT rollout, node, step FROM rollout_acts")
        assert begun == Counter((a["rollout"], f"node/{a['node']}", f"begin {a['step']}") for a in ordered)

    def calls(self, machine: str) -> Counter[str]:
        """What Talos on the machine was told that restarts it or changes what it boots, by the lab's own log."""
        names = ("Upgrade", "Reboot", "Rollback")
        return Counter(
            event["call"]
            for event in self.lab.log(machine)
            if event["event"] == "talos" and event["call"] in names and event["status"] == "OK"
        )
