"""A deploy of twenty operations that changes nothing: our way, its floor, pyinfra and Ansible.

Before a contender is measured it must repair drift on two hosts; in a measured run nothing may be touched.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import desired, measure
from benchmarks.facts import Files, counted
from benchmarks.measure import Result
from benchmarks.race import BIN, ROOT, TOOLS, Contender, Record, environment, race
from benchmarks.rig import Rig

ANSIBLE_MOST = 10  # hosts: at 50 one run takes minutes; ask for it with --hosts 50 --only ansible


def noop(rig: Rig, record: Record, *, sizes: Sequence[int], repeats: int, only: Sequence[str]) -> None:
    for size in sizes:
        field = [
            c
            for c in contenders(rig, size)
            if (c.name in only if only else c.name != "ansible" or size <= ANSIBLE_MOST)
        ]
        base = rig.folder / "fleet"
        roots = [base / host for host in rig.hosts(size)]
        for contender in field:
            if contender.name != "floor":  # the floor only looks
                prove_repair(contender, roots, rig)
        for root in roots:
            desired.install(root)
        labels = {"bench": "noop", "kex": "default", "hosts": size}
        race(
            [untouched(c, roots) for c in field],
            record,
            repeats=repeats,
            labels=labels,
            rig=rig,
            warm_up=False,
        )


def prove_repair(contender: Contender, roots: Sequence[Path], rig: Rig) -> None:
    """Raises SystemExit if the contender does not do the work it will be measured at not doing."""
    for root in roots:
        desired.install(root)
    for root in roots[:2]:
        desired.drift(root)
    contender.prepare()
    result = measure.run(
        contender.argv, env=environment(**contender.env), cwd=ROOT, keep=list(rig.pids.values())
    )
    wrong = [root.name for root in roots if not desired.right(root)]
    if result.status or wrong:
        said = (result.stdout + result.stderr)[-2000:].decode("utf-8", "replace")
        raise SystemExit(f"{contender.name} did not repair {wrong} (status {result.status}):\n{said}")


def untouched(contender: Contender, roots: Sequence[Path]) -> Contender:
    """The same, whose answer is right only if no inode and no time changed."""
    before: list[object] = []

    def prepare() -> None:
        contender.prepare()
        before[:] = [desired.fingerprint(root) for root in roots]

    def check(result: Result) -> str:
        problem = contender.check(result)
        touched = [r.name for r, was in zip(roots, before, strict=True) if desired.fingerprint(r) != was]
        return problem or (f"touched {touched}" if touched else "")

    return Contender(contender.name, contender.argv, check, contender.env, prepare)


def contenders(rig: Rig, size: int) -> list[Contender]:
    files = Files(rig, "default", size)
    base = rig.folder / "fleet"
    base.mkdir(exist_ok=True)
    script = files.folder / "probe"
    script.write_text(desired.probe(base))
    driver = [
        str(BIN / "python"),
        "-m",
        "benchmarks.drive_noop",
        "--host-key",
        rig.host_key,
        "--base",
        str(base),
        *files.common,
    ]
    found = [
        Contender("floor", files.bare_with(script), counted(size)),
        Contender("cto way", driver, counted(size)),
    ]
    if (TOOLS / "pyinfra").exists():
        deploy = files.folder / "deploy.py"
        deploy.write_text(desired.pyinfra_deploy(base))
        (base / "template-pairs.j2").write_text(desired.TEMPLATE_PAIRS)
        found.append(Contender("pyinfra", [*files.pyinfra(), str(deploy)], pyinfra_answer(size)))
    if (TOOLS / "ansible-playbook").exists():
        where, env, cold = files.ansible()
        play = files.folder / "play.json"
        play.write_text(desired.ansible_playbook(base))
        (base / "template.j2").write_text(desired.TEMPLATE)
        found.append(
            Contender(
                "ansible",
                [str(TOOLS / "ansible-playbook"), *where, str(play)],
                ansible_answer(size),
                env,
                cold,
            )
        )
    return found


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
