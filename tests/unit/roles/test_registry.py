"""Every role's file is registered, complete and documented; the tables of the docs are those of the code."""

import importlib
import re
from pathlib import Path

import pytest

import roles
from inventory.errors import OperatorError
from inventory.parts import NodeSettings
from roles import checks, reservations
from roles.registry import ROLES, role
from roles.spec import RoleSpec

FOLDER = Path(roles.__file__).parent
DOCS = FOLDER.parent / "docs"
GIB = 1024**3


def test_every_file_with_a_spec_is_registered() -> None:
    found = {}
    for path in FOLDER.glob("*.py"):
        spec = getattr(importlib.import_module(f"roles.{path.stem}"), "SPEC", None)
        if isinstance(spec, RoleSpec):
            found[path.stem] = spec
    assert found == dict(ROLES)


@pytest.mark.parametrize("spec", ROLES.values(), ids=lambda spec: spec.slug)
def test_a_role_is_complete(spec: RoleSpec) -> None:
    assert set(spec.checks) == set(checks.CHECKS)
    assert spec.facts
    for need in (spec.cores, spec.memory, spec.disk):
        assert 0 < need.minimum <= need.advised
    known = {field.alias or name for name, field in NodeSettings.model_fields.items()}
    assert set(spec.settings) <= known
    row = f"| {spec.slug} | {spec.cores.minimum} ({spec.cores.advised}) | "
    row += f"{spec.memory.minimum // GIB} GiB ({spec.memory.advised // GIB} GiB) | "
    row += f"{spec.disk.minimum // GIB} GiB ({spec.disk.advised // GIB} GiB) |"
    assert row in (DOCS / "machine-configuration.md").read_text()


def test_an_unknown_role() -> None:
    with pytest.raises(OperatorError, match="no role 'master'") as caught:
        role("master")
    assert "controlplane, worker, appliance" in str(caught.value)


def rows(heading: str) -> list[tuple[int, ...]]:
    text = (DOCS / "machine-configuration.md").read_text()
    block = text[text.index(heading) :].split("\n\n")[1]
    return [tuple(int(n) for n in re.findall(r"\d+", line)) for line in block.splitlines()[2:]]


def test_the_reservations_of_the_docs() -> None:
    def joined(*tables: tuple[tuple[int, int], ...]) -> list[tuple[int, ...]]:
        limits = sorted({least for table in tables for least, _ in table})

        def at(table: tuple[tuple[int, int], ...], size: int) -> int:
            return max(value for least, value in table if size >= least)

        return [
            (least, at(tables[0], least), at(tables[0], least) + at(tables[1], least)) for least in limits
        ]

    memory = joined(reservations.MEMORY_TABLE, reservations.CONTROL_PLANE_MEMORY_TABLE)
    cpu = joined(reservations.CPU_TABLE, reservations.CONTROL_PLANE_CPU_TABLE)
    assert rows("### Memory kept") == memory
    assert rows("### Processor kept") == cpu
    for least, worker, control_plane in memory:
        for made, value in ((False, worker), (True, control_plane)):
            kept = reservations.system_reserved(memory=least * GIB, cores=1, control_plane=made)
            assert kept["memory"] == f"{value}Mi"


@pytest.mark.parametrize("control_plane", [False, True])
def test_more_machine_never_keeps_less(control_plane: bool) -> None:
    def kept(memory: int, cores: int) -> tuple[int, int]:
        made = reservations.system_reserved(memory=memory * GIB, cores=cores, control_plane=control_plane)
        return int(made["memory"].removesuffix("Mi")), int(made["cpu"].removesuffix("m"))

    sizes = [kept(memory, memory) for memory in range(512)]
    assert sizes == sorted(sizes)
    # And never most of the machine: at least half of it is left for pods from the smallest worker on.
    assert all(mib <= memory * 1024 // 2 for memory, (mib, _) in enumerate(sizes) if memory >= 2)
