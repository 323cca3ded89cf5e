"""What the bootstrap environment is to have: layers add up, null takes away, mistakes are told with their line."""

from typing import Any

import pytest
import yaml

from inventory.errors import SiteFileError
from inventory.resolve import Resolved, load_files


def load(organization: Any, node: Any) -> Resolved:
    nodes = [{"name": "kn-1", "role": "controlplane", "address": "10.0.0.5", "bootstrap": node}]
    spec = {"site": "kn", "kubernetes": "1.34.1", "nodes": nodes}
    defaults = {"image": {"talos": "1.13.9"}, "bootstrap": organization}
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "kn"}, "spec": body}
        for kind, body in (
            ("Organization", {"defaults": defaults}),
            ("Site", {"timezone": "UTC"}),
            ("Cluster", spec),
        )
    ]
    return load_files({"kn.yaml": yaml.safe_dump_all(documents, sort_keys=False)})


def test_layers_add_to_each_other_and_null_takes_away() -> None:
    resolved = load(
        {"files": {"/etc/a": {"content": "1"}, "/etc/b": {"content": "2"}}, "sysctls": {"vm.swappiness": 10}},
        {"files": {"/etc/a": None, "/etc/c": {"content": "3", "mode": "0600"}}, "directories": {"/srv": {}}},
    )
    assert resolved.fleet.nodes["kn-1"].bootstrap == {
        "files": {
            "/etc/b": {"content": "2", "mode": "0644"},
            "/etc/c": {"content": "3", "mode": "0600"},
        },
        "directories": {"/srv": {"mode": "0755"}},
        "sysctls": {"vm.swappiness": "10"},
    }
    assert resolved.effective()["nodes"]["kn-1"]["bootstrap"]["directories"] == {"/srv": {"mode": "0755"}}


def test_nothing_wanted_is_nothing() -> None:
    assert load(None, {}).fleet.nodes["kn-1"].bootstrap == {}


@pytest.mark.parametrize(
    ("wanted", "what", "fix"),
    [
        ({"files": {"etc/a": {"content": ""}}}, "'etc/a' is not a path", "write it absolute"),
        ({"files": {"/etc/../a": {"content": ""}}}, "is not a path", "without .. and blanks"),
        ({"files": {"/etc/a b": {"content": ""}}}, "is not a path", "without .. and blanks"),
        ({"files": {"/proc/sys/vm/swappiness": {"content": "1"}}}, "belongs to the kernel", "under sysctls"),
        ({"files": {"/etc/a": {"content": "", "mode": "rw"}}}, "'rw' is not a file mode", "octal digits"),
        ({"directories": {"/srv": {"mode": 755}}}, "text", "quote it"),
        ({"lines": {"/etc/a": ["a\tb"]}}, "is not a line", "without line ends, tabs"),
        ({"lines": {"/etc/a": ["a\u200bb"]}}, "is not a line", "invisible"),
        ({"sysctls": {"swappiness": "1"}}, "is not a kernel setting", "net.core.somaxconn"),
        ({"users": {}}, "users", ""),
        (
            {"files": {"/etc/a": {"content": ""}}, "lines": {"/etc/a": ["x"]}},
            "/etc/a is declared as a whole file, and lines of it as well",
            "write the lines into the file's content",
        ),
        (
            {"files": {"/etc/a": {"content": ""}}, "directories": {"/etc/a/b": {}}},
            "/etc/a is declared as a file and as a directory",
            "keep one of the two",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_fix(wanted: Any, what: str, fix: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load(None, wanted)
    (problem,) = caught.value.problems[:1]
    assert (problem.file, problem.line > 1) == ("kn.yaml", True)
    assert "bootstrap" in problem.path
    assert what in problem.what
    assert fix in problem.fix
