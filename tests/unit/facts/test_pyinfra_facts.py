"""The same specs as pyinfra facts, run for real by pyinfra's @local connector (in its own process)."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import json
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.context import ctx_host, ctx_state
from deploys.facts import fact_class
from facts.machine import cpu, memory, os
from facts.registry import machine_facts
from facts.snapshot import plain
from facts.spec import FactError, FactSpec

state = State(Inventory((["@local"], {})), Config())
connect_all(state)
missing = FactSpec(name="gone", title="", command="no-such-tool -x", parse=str, model=str)
found = {}
for spec in (*machine_facts(), missing):
    for host in state.inventory:
        with ctx_state.use(state), ctx_host.use(host):
            try:
                found[spec.name] = plain(host.get_fact(fact_class(spec)))
            except FactError as error:
                found[spec.name] = "problem: " + error.what
print(json.dumps([found, fact_class(cpu.FACT) is fact_class(cpu.FACT)]))
"""


def test_pyinfra_gets_the_same_models():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found, same_class = json.loads(done.stdout)
    assert same_class
    assert found["memory"]["total"] > 0
    assert found["os"]["kernel"]
    assert found["gone"] == "problem: a tool is missing on the machine (no-such-tool -x)"
