"""The twenty items of the no-change deploy, written once for each contender. Runs nothing.

10 files, 5 directories, 3 lines in a file, 2 templates like sysctl settings. All hosts of the rig share one file system,
so each has a folder of its own, named by its address.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path

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


# As one probe script and a comparison here


def probe(base: Path) -> str:
    """Prints `<sha256>  <path>` of files, `<mode> <type> <path>` of all, and the lines file after a marker."""
    files = " ".join(shlex.quote(p) for p in contents())
    everything = " ".join(shlex.quote(p) for p in [*contents(), *DIRECTORIES])
    return (
        f"set -- $SSH_CONNECTION; cd {shlex.quote(str(base))}/$3 || exit 1\n"
        f"sha256sum {files} 2>/dev/null\necho ---\n"
        f"stat -c '%a %F %n' {everything} 2>/dev/null\necho ---\n"
        f"cat {shlex.quote(LINES_FILE)} 2>/dev/null\nexit 0\n"
    )


def difference(output: str) -> list[str]:
    """Shell commands that mend what the probe found; empty if all twenty hold."""
    sums_text, _, rest = output.partition("---\n")
    stats_text, _, lines_text = rest.partition("---\n")
    sums = {path: digest for digest, _, path in (line.partition("  ") for line in sums_text.splitlines())}
    modes = {path: mode for mode, path in (_stat(line) for line in stats_text.splitlines())}
    commands = []
    for path, text in contents().items():
        if (
            sums.get(path) != hashlib.sha256(text.encode()).hexdigest()
            or modes.get(path) != "644 regular file"
        ):
            quoted = shlex.quote(path)
            commands.append(
                f"mkdir -p {shlex.quote(str(Path(path).parent))} && printf %s {shlex.quote(text)} >{quoted} && chmod 644 {quoted}"
            )
    commands += [
        f"mkdir -p {shlex.quote(path)} && chmod 755 {shlex.quote(path)}"
        for path in DIRECTORIES
        if modes.get(path) != "755 directory"
    ]
    present = set(lines_text.splitlines())
    commands += [
        f"printf '%s\\n' {shlex.quote(x)} >>{shlex.quote(LINES_FILE)}" for x in LINES if x not in present
    ]
    return commands


def _stat(line: str) -> tuple[str, str]:
    mode, _, rest = line.partition(" ")
    kind, _, path = rest.rpartition(" ")
    return f"{mode} {kind}", path


# As the other tools want it


def ansible_playbook(base: Path) -> str:
    root = f"{base}/{{{{ inventory_hostname }}}}"
    tasks: list[dict[str, object]] = [
        {"copy": {"dest": f"{root}/{path}", "content": text, "mode": "0644"}} for path, text in FILES.items()
    ]
    tasks += [
        {"file": {"path": f"{root}/{path}", "state": "directory", "mode": "0755"}} for path in DIRECTORIES
    ]
    tasks += [{"lineinfile": {"path": f"{root}/{LINES_FILE}", "line": line}} for line in LINES]
    tasks += [
        {
            "template": {"src": str(base / "template.j2"), "dest": f"{root}/{path}", "mode": "0644"},
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
from pyinfra import host
from pyinfra.operations import files

root = {str(base)!r} + "/" + host.name
for path, text in {FILES!r}.items():
    files.put(src=StringIO(text), dest=root + "/" + path, mode="644")
for path in {DIRECTORIES!r}:
    files.directory(path=root + "/" + path, mode="755")
for line in {LINES!r}:
    files.line(path=root + "/" + {LINES_FILE!r}, line=line)
for path, pairs in {templates!r}.items():
    files.template(src={str(base / "template-pairs.j2")!r}, dest=root + "/" + path, mode="644", pairs=pairs)
"""


TEMPLATE = "{% for key in values %}{{ key }} = {{ values[key] }}\n{% endfor %}"
TEMPLATE_PAIRS = "{% for key, value in pairs %}{{ key }} = {{ value }}\n{% endfor %}"
