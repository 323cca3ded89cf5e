"""The twenty items of the no-change deploy, written once for each contender. Runs nothing.

10 files, 5 directories, 3 lines in a file, 2 templates like sysctl settings. All hosts of the rig share one file system
and so these items: whoever only looks does not notice, and repairs are proved on a single host.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from controller.app.lab import KUBERNETES, TALOS
from facts import script
from roles import settings, settings_probe

FILES = {f"etc/app/{n}.conf": f"# unit {n}\nname = unit-{n}\nport = {8000 + n}\n" for n in range(10)}
DIRECTORIES = [f"srv/data/{n}" for n in range(5)]
LINES = ["PermitRootLogin no", "MaxAuthTries 3", "X11Forwarding no"]
LINES_FILE = "etc/ssh/config"
SETTINGS = {"vm.swappiness": 10, "net.core.somaxconn": 1024, "kernel.pid_max": 65536}
TEMPLATES = {
    f"etc/sysctl.d/{name}.conf": {**SETTINGS, "fs.file-max": size}
    for name, size in (("a", 100000), ("b", 200000))
}
COUNT = len(FILES) + len(DIRECTORIES) + len(LINES) + len(TEMPLATES)


def rendered(values: Mapping[str, int]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in values.items())


def contents() -> dict[str, str]:
    return {**FILES, **{path: rendered(values) for path, values in TEMPLATES.items()}}


def install(root: Path) -> None:
    """Makes a host that needs nothing."""
    for path, text in contents().items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)
    for path in DIRECTORIES:
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path).chmod(0o755)
    lines = root / LINES_FILE
    lines.parent.mkdir(parents=True, exist_ok=True)
    lines.write_text("\n".join(["# ours", *LINES]) + "\n")


def drift(root: Path) -> None:
    """Six of the twenty are wrong."""
    (root / "etc/app/3.conf").write_text("wrong\n")
    (root / "etc/app/4.conf").unlink()
    (root / "etc/sysctl.d/b.conf").write_text("wrong\n")
    (root / "etc/app/5.conf").chmod(0o600)
    (root / DIRECTORIES[1]).rmdir()
    (root / LINES_FILE).write_text("# ours\n" + "\n".join(LINES[:2]) + "\n")


def right(root: Path) -> bool:
    """Whether all twenty hold."""
    files = all(
        (root / p).is_file() and (root / p).read_text() == t and _mode(root / p) == 0o644
        for p, t in contents().items()
    )
    directories = all((root / p).is_dir() and _mode(root / p) == 0o755 for p in DIRECTORIES)
    lines = root / LINES_FILE
    return files and directories and lines.is_file() and set(LINES) <= set(lines.read_text().splitlines())


def fingerprint(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, modification and change time of everything below: shows every write, even of the same bytes."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(root))] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return found


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# As the product wants it


def bootstrap(base: Path) -> dict[str, Any]:
    """The `bootstrap` of a site file."""
    return {
        "directories": {f"{base}/{path}": {"mode": "0755"} for path in DIRECTORIES},
        "files": {f"{base}/{path}": {"content": text, "mode": "0644"} for path, text in contents().items()},
        "lines": {f"{base}/{LINES_FILE}": LINES},
    }


def site(base: Path, hosts: Sequence[str], port: int) -> str:
    """One cluster of these hosts. Nothing of it is ever installed."""
    nodes = [
        {"name": name(host), "role": "worker" if number else "controlplane", "address": host}
        for number, host in enumerate(hosts)
    ]
    defaults = {"image": {"talos": TALOS}, "sshPort": port, "bootstrap": bootstrap(base)}
    bodies = {
        "Organization": {"defaults": defaults},
        "Site": {"timezone": "UTC"},
        "Cluster": {"site": "bench", "kubernetes": KUBERNETES, "nodes": nodes},
    }
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "bench"}, "spec": body}
        for kind, body in bodies.items()
    ]
    return yaml.safe_dump_all(documents, sort_keys=False)


def name(host: str) -> str:
    return f"host-{host.replace('.', '-')}"


def probe(base: Path) -> str:
    """The product's own question about the twenty: what the floor runs."""
    spec = settings_probe.probe(settings.declared(bootstrap(base)))
    return script.build([spec], boundary="b" * 32)


# As the other tools want it


def ansible_playbook(base: Path) -> str:
    root = str(base)
    tasks: list[dict[str, object]] = [
        {"copy": {"dest": f"{root}/{path}", "content": text, "mode": "0644"}} for path, text in FILES.items()
    ]
    tasks += [
        {"file": {"path": f"{root}/{path}", "state": "directory", "mode": "0755"}} for path in DIRECTORIES
    ]
    tasks += [{"lineinfile": {"path": f"{root}/{LINES_FILE}", "line": line}} for line in LINES]
    tasks += [
        {
            "template": {"src": str(base.parent / "template.j2"), "dest": f"{root}/{path}", "mode": "0644"},
            "vars": {"values": values},
        }
        for path, values in TEMPLATES.items()
    ]
    return json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}])  # JSON is YAML


def pyinfra_deploy(base: Path) -> str:
    # Dictionaries would turn the template's `values` into their method: they go in as pairs.
    templates = {path: list(values.items()) for path, values in TEMPLATES.items()}
    return f"""
from io import StringIO
from pyinfra.operations import files

root = {str(base)!r}
for path, text in {FILES!r}.items():
    files.put(src=StringIO(text), dest=root + "/" + path, mode="644")
for path in {DIRECTORIES!r}:
    files.directory(path=root + "/" + path, mode="755")
for line in {LINES!r}:
    files.line(path=root + "/" + {LINES_FILE!r}, line=line)
for path, pairs in {templates!r}.items():
    files.template(src={str(base.parent / "template-pairs.j2")!r}, dest=root + "/" + path, mode="644", pairs=pairs)
"""


TEMPLATE = "{% for key in values %}{{ key }} = {{ values[key] }}\n{% endfor %}"
TEMPLATE_PAIRS = "{% for key, value in pairs %}{{ key }} = {{ value }}\n{% endfor %}"
