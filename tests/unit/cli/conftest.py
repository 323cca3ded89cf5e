"""The program in this process, on a home of its own, with the real store and the real wiring."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from controller.cli.base import App
from controller.cli.main import run

FIXTURES = Path(__file__).parents[2] / "fixtures"
SITE = FIXTURES / "cli" / "site.yaml"
# A host key made up for these tests; nothing has its private half.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFR"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def cto(home, capsys, monkeypatch, tmp_path):
    """`cto("status", "--output", "json")` → what it printed and its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*argv, environ=None, now=NOW):
        capsys.readouterr()
        environ = {"CTO_HOME": str(home), "USER": "ada", **(environ or {})}
        code = run([str(word) for word in argv], App(home=home, environ=environ, now=lambda: now))
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture
def make_store(home):
    """Opens the home's store at a time of one's choice; ids count up."""
    from controller.store import Store
    from controller.store.home import Home

    ids = count(1)

    def make(at=NOW):
        return Store.open(Home(home), now=lambda: at, new_id=lambda: f"{next(ids):016x}")

    return make


@pytest.fixture
def fleet(make_store):
    """Two sites: one control plane installing, its worker stopped, an appliance that is not pinned."""
    from controller.store import StepRef
    from inventory.resolve import load_files

    resolved = load_files({str(SITE): SITE.read_text()})
    facts = json.loads((FIXTURES / "hardware" / "dell-r660.json").read_text())
    body = {"facts": facts["facts"], "problems": []}
    older = json.loads(json.dumps(body))
    older["facts"]["memory"]["total"] //= 2
    with make_store(NOW - timedelta(minutes=3)) as store:
        store.declare(resolved.fleet, actor="local:ada")
        for name, address in (("berlin-cp-1", "127.66.0.1"), ("berlin-w-1", "127.66.0.2")):
            store.pin(name, address=address, host_key=KEY, actor="local:ada", reason="test")
        store.start_engine(4242, ballast=4096)
        run_id = store.queue_run("apply", {}, actor="local:ada")
        store.next_run()
        store.save_facts("berlin-cp-1", older, "old-digest")
        store.touch("berlin-cp-1", profile="dell-r660")
        step = store.begin(StepRef(run_id, "node", "berlin-cp-1", "inspect"), detail={})
        store.finish(step, outcome="done", detail={}, record={"disk": {"path": "/dev/sda"}})
        store.begin(StepRef(run_id, "node", "berlin-cp-1", "prepare"), detail={})
        store.progress("node/berlin-cp-1", "prepare", 3, 4)
        store.set_problem("node/berlin-w-1", "no answer within 10 s\n  → check its power")
    with make_store(NOW - timedelta(minutes=1)) as store:
        store.save_facts("berlin-cp-1", body, "new-digest")
    return run_id


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def site():
    return SITE


@pytest.fixture
def put_enrollment(make_store, fleet):
    """`put_enrollment(id="…")` → the row of a machine that asks to join Berlin, as its protocol leaves it."""
    from roles.enrollment.token import Token

    token = Token.make(bytes(23))

    def put(**changed):
        row = json.loads((FIXTURES / "web" / "enrollment.json").read_text())["row"] | changed
        values = {**row, "token": token.id, "hardware": json.dumps(row["hardware"])}
        with make_store() as store:
            if not store.tokens():
                store.create_token(
                    token, site="berlin", role="worker", uses=2, life=timedelta(days=1), actor="test"
                )
            marks = ", ".join("?" * len(values))
            store._connection.execute(
                f"INSERT INTO enrollments ({', '.join(values)}) VALUES ({marks})", list(values.values())
            )
        return row

    return put
