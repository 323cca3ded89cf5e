"""Twenty checks that find nothing to do: `cto apply --until prepared`, its floor, pyinfra and Ansible.

The floor is the bare loop with the product's own probe script, its output thrown away. Before a contender is measured
it must repair six of the twenty on a host; in a measured run nothing may be touched.

The product runs its real command on a home whose nodes are `prepared`. They did not get there by being prepared:
that would clear a disk of the machine we measure on. The store is told so, and the steps after it are the product's.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import desired, measure
from benchmarks.facts import Files, counted, make_home
from benchmarks.measure import Result
from benchmarks.race import BIN, ROOT, TOOLS, Contender, Record, environment, race
from benchmarks.rig import Rig

ANSIBLE_MOST = 10  # hosts: at 50 one run takes minutes; ask for it with --hosts 50 --only ansible


def noop(rig: Rig, record: Record, *, sizes: Sequence[int], repeats: int, only: Sequence[str]) -> None:
    base = rig.folder / "fleet"
    for contender in _chosen(contenders(rig, 1), 1, only):
        if contender.name != "floor":  # the floor only looks
            prove_repair(contender, base, rig)
    desired.install(base)
    for size in sizes:
        field = [untouched(c, base) for c in _chosen(contenders(rig, size), size, only)]
        labels = {"bench": "noop", "kex": "default", "hosts": size}
        race(field, record, repeats=repeats, labels=labels, rig=rig, warm_up=False)


def _chosen(field: Sequence[Contender], size: int, only: Sequence[str]) -> list[Contender]:
    return [c for c in field if (c.name in only if only else c.name != "ansible" or size <= ANSIBLE_MOST)]


def prove_repair(contender: Contender, base: Path, rig: Rig) -> None:
    """Raises SystemExit if the contender does not do the work it will be measured at not doing."""
    desired.install(base)
    desired.drift(base)
    contender.prepare()
    result = measure.run(
        contender.argv, env=environment(**contender.env), cwd=ROOT, keep=list(rig.pids.values())
    )
    if result.status or not desired.right(base):
        said = (result.stdout + result.stderr)[-2000:].decode("utf-8", "replace")
        raise SystemExit(f"{contender.name} did not repair it (status {result.status}):\n{said}")


def untouched(contender: Contender, base: Path) -> Contender:
    """The same, whose answer is right only if no inode and no time changed."""
    before: list[object] = []

    def prepare() -> None:
        contender.prepare()
        before[:] = [desired.fingerprint(base)]

    def check(result: Result) -> str:
        return contender.check(result) or ("touched" if desired.fingerprint(base) != before[0] else "")

    return Contender(contender.name, contender.argv, check, contender.env, prepare)


def prepared_home(rig: Rig, files: Files, site: Path) -> Path:
    """A home whose store says that these hosts were made ready."""
    from controller.app.apply import begin_engine
    from controller.store import StepRef
    from controller.wiring import open_services
    from inventory.resolve import load_files

    root = files.folder / "home-prepared"
    make_home(root, files.hosts, host_key=rig.host_key, port=files.port, client_key=rig.key)
    with open_services(root) as services:
        store = services.store
        store.declare(load_files({str(site): site.read_text()}).fleet, actor="benchmark")
        begin_engine(services)
        run = store.queue_run("apply", {}, actor="benchmark", options={})
        for host in files.hosts:
            for step in ("inspect", "prepare"):
                begun = store.begin(StepRef(run, "node", desired.name(host), step), detail={})
                store.finish(begun, outcome="done", detail={}, record={})
        store.next_run()
        store.finish_run(run, "done", {})
    return root


def contenders(rig: Rig, size: int) -> list[Contender]:
    files = Files(rig, "default", size)
    base = rig.folder / "fleet"
    base.mkdir(exist_ok=True)
    script = files.folder / "probe"
    script.write_text(desired.probe(base))
    site = files.folder / "site.yaml"
    site.write_text(desired.site(base, files.hosts, files.port))
    home = prepared_home(rig, files, site)
    apply = ["apply", "-f", str(site), "--until", "prepared", "--yes", "--output", "json"]
    found = [
        Contender("floor", files.bare_with(script), counted(size)),
        Contender("cto", [str(BIN / "cto"), *apply], cto_answer(size), {"CTO_HOME": str(home)}),
    ]
    if (TOOLS / "pyinfra").exists():
        deploy = files.folder / "deploy.py"
        deploy.write_text(desired.pyinfra_deploy(base))
        (base.parent / "template-pairs.j2").write_text(desired.TEMPLATE_PAIRS)
        found.append(Contender("pyinfra", [*files.pyinfra(), str(deploy)], pyinfra_answer(size)))
    if (TOOLS / "ansible-playbook").exists():
        where, env, cold = files.ansible()
        play = files.folder / "play.json"
        play.write_text(desired.ansible_playbook(base))
        (base.parent / "template.j2").write_text(desired.TEMPLATE)
        argv = [str(TOOLS / "ansible-playbook"), *where, str(play)]
        found.append(Contender("ansible", argv, ansible_answer(size), env, cold))
    return found


def cto_answer(size: int) -> Callable[[Result], str]:
    def check(result: Result) -> str:
        last = json.loads((result.stdout.splitlines() or [b"{}"])[-1])
        good = last.get("state") == "done" and last["summary"]["done"] == size
        return "" if not result.status and good else f"status {result.status}, {last}"

    return check


def ansible_answer(size: int) -> Callable[[Result], str]:
    def check(result: Result) -> str:
        recaps = re.findall(rb"ok=(\d+) +changed=0 +unreachable=0 +failed=0", result.stdout)
        good = sum(int(ok) == desired.COUNT for ok in recaps)
        return (
            ""
            if not result.status and good == size
            else f"status {result.status}, {good} of {size} unchanged"
        )

    return check


def pyinfra_answer(size: int) -> Callable[[Result], str]:
    """The last table ends with the operations of all hosts: attempted, succeeded, failed, without change."""

    def check(result: Result) -> str:
        text = re.sub(rb"\x1b\[[0-9;]*m", b"", result.stdout + result.stderr).decode("utf-8", "replace")
        total = re.search(r"Grand total\D+(\d+)\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)", text)
        want = (str(desired.COUNT * size), "-", "-", str(desired.COUNT * size))
        if not result.status and total and total.groups() == want:
            return ""
        return f"status {result.status}, {total and total.groups()} instead of {want}"

    return check
