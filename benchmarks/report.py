"""From a summary to the figures of docs/performance.md: what was to be reached, and all that was measured. Measures nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BEGIN = "<!-- figures: made by `python -m benchmarks.campaign`, do not edit -->"
END = "<!-- end of figures -->"
Entry = Mapping[str, Any]
MIB = 80  # peak memory of facts from 200 hosts
LAB_MIB = 4096  # memory of 200 simulated machines and what asks them


class Measured:
    """The entries of one summary, looked up."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {(e["bench"], e["kex"], e["hosts"], e["contender"]): e for e in entries if e["runs"]}

    def median(self, bench: str, kex: str, hosts: int, contender: str, figure: str) -> float | None:
        entry = self._entries.get((bench, kex, hosts, contender))
        return float(entry[figure]["median"]) if entry and figure in entry else None

    def ratio(self, setup: tuple[str, str, int], contender: str, to: str, figure: str) -> float | None:
        above, below = (self.median(*setup, name, figure) for name in (contender, to))
        return above / below if above is not None and below else None


@dataclass(frozen=True)
class Target:
    what: str
    most: bool  # or at least
    limits: Sequence[float]
    figures: Callable[[Measured], Sequence[float | None]]
    unit: str = ""

    def row(self, measured: Measured) -> str:
        found = self.figures(measured)
        sign = ("≤" if self.most else "≥") if self.unit == "" else "<"
        limits = " and ".join(f"{limit:g}" for limit in self.limits)
        shown = " and ".join("-" if value is None else f"{value:.3g}" for value in found)
        pairs = [(value, limit) for value, limit in zip(found, self.limits, strict=True) if value is not None]
        good = all(value <= limit if self.most else value >= limit for value, limit in pairs)
        verdict = "not measured" if len(pairs) < len(found) else "met" if good else "**missed**"
        return f"| {self.what} | {sign} {limits}{self.unit} | {shown}{self.unit} | {verdict} |"


def _kexes(hosts: int, contender: str, to: str, figure: str) -> Callable[[Measured], Sequence[float | None]]:
    """With the default key exchange, and with an equal one."""
    return lambda m: [m.ratio(("facts", kex, hosts), contender, to, figure) for kex in ("default", "equal")]


def _one(
    setup: tuple[str, str, int], contender: str, to: str, figure: str
) -> Callable[[Measured], list[float | None]]:
    return lambda m: [m.ratio(setup, contender, to, figure)]


def _most(measured: Measured, contenders: Sequence[str]) -> float | None:
    found = [measured.median("lab-200", "", 200, name, "all_rss_mib") for name in contenders]
    known = [value for value in found if value is not None]
    return max(known) if len(known) == len(found) else None


_NOOP = ("noop", "default", 50)
TARGETS = (
    Target("facts from 200 hosts, wall time against the bare loop", True, (1.15, 1.15), _kexes(200, "cto", "bare", "wall")),
    Target("the same, client CPU", True, (1.2, 1.2), _kexes(200, "cto", "bare", "cpu")),
    Target("the same, against a bare loop with our cipher", True, (1.2, 1.2), _kexes(200, "cto", "bare-our-cipher", "cpu")),
    Target(
        "facts from 200 hosts, peak memory",
        True,
        (MIB,),
        lambda m: [m.median("facts", "default", 200, "cto", "peak_mib")],
        " MiB",
    ),
    Target("Ansible `setup` against it, wall time", False, (13, 11.5), _kexes(200, "ansible", "cto", "wall")),
    Target("Ansible `setup` against it, client CPU", False, (20, 12), _kexes(200, "ansible", "cto", "cpu")),
    Target("pyinfra `fact` against it, wall time", False, (1.9, 1.75), _kexes(200, "pyinfra", "cto", "wall")),
    Target(
        "facts over open connections, 200 hosts, wall time against the bare pool",
        True,
        (1.3,),
        _one(("open", "default", 200), "cto pool", "bare pool", "open_wall"),
    ),
    Target("twenty checks with nothing to do, 50 machines, wall time against the floor", True, (2,), _one(_NOOP, "cto", "floor", "wall")),
    Target("the same, client CPU", True, (2,), _one(_NOOP, "cto", "floor", "cpu")),
    Target(
        "`cto apply`, 200 installed lab nodes, nothing to do",
        True,
        (5,),
        lambda m: [m.median("lab", "", 200, "apply again", "wall")],
        " s",
    ),
    Target("`cto demo --once`, two clusters verified", True, (60,), lambda m: [m.median("demo", "", 5, "cto demo --once", "wall")], " s"),
    Target(
        "a lab of 200 machines, all discovered and asked for facts, memory of lab and commands",
        True,
        (LAB_MIB,),
        lambda m: [_most(m, ("cto discover", "cto facts gather"))],
        " MiB",
    ),
    Target("`cto --help` against `python -c pass`", True, (8,), _one(("cli", "", 0), "cto --help", "python", "wall")),
    Target("`cto status` against `python -c pass`", True, (16,), _one(("cli", "", 0), "cto status", "python", "wall")),
)  # fmt: skip
# Of each benchmark: its title, and the parts of the campaign that measure it.
_TITLES = {
    "facts": ("Facts, cold", "facts-200 facts-small facts-200-ansible"),
    "open": ("Facts again, over open connections", "open"),
    "noop": ("Twenty checks that find nothing to do", "noop noop-ansible"),
    "cli": ("Starting the program", "cli"),
    "lab": ("Apply over the lab", "apply"),
    "demo": ("The demo", "demo"),
    "lab-200": ("A lab of 200 machines", "lab-200"),
}


def figures(made: Mapping[str, Any]) -> str:
    """The generated part of the page: machine, targets, a table for each benchmark, where an apply's time goes."""
    measured = Measured(made["results"])
    machine = ", ".join(f"{name} {value}" for name, value in made["machine"].items())
    parts = [
        f"**Machine:** {machine}.\n\n**Measured:** {made.get('date', 'day unknown')}, by the command below each heading.",
        "### Targets\n\nWhere there are two figures: with the default key exchange, and with an equal one.\n\n"
        "| what | target | measured | |\n|---|---|---|---|\n" + "\n".join(t.row(measured) for t in TARGETS),
    ]
    for bench, (title, names) in _TITLES.items():
        found = [e for e in made["results"] if e["bench"] == bench and e["runs"]]
        if found:
            command = f"`.venv/bin/python -m benchmarks.campaign {names}`"
            parts.append(f"### {title}\n\n{command}\n\n{_table(found)}")
    parts += [
        f"Seconds of each step, {e['hosts']} nodes, waiting for a turn included:\n\n{_steps(e['steps'])}"
        for e in made["results"]
        if e.get("steps")
    ]
    return "\n\n".join(parts)


def update(page: str, made: str) -> str:
    """The page with its figures made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def _table(entries: Sequence[Entry]) -> str:
    head = (
        "| hosts | key exchange | contender | runs | wall s | client ms per host | server ms per host | peak MiB"
        " | times the first: wall, client CPU |\n|---|---|---|---|---|---|---|---|---|"
    )
    ordered = sorted(entries, key=lambda e: (e["hosts"], e["kex"], e["wall"]["median"]))
    return "\n".join([head, *map(_line, ordered)])


def _line(e: Entry) -> str:
    wall, used = ("open_wall", "open_cpu") if "open_wall" in e else ("wall", "cpu")
    share = 1000 / (e["hosts"] or 1)
    server = f"{e['server_cpu']['median'] * share:.3g}" if e.get("server_cpu", {}).get("median") else "-"
    ratios = e.get("ratios", {})
    shown = [f"{ratios[f'{f} median']:.2f}" if f"{f} median" in ratios else "-" for f in (wall, used)]
    cells = [
        str(e["hosts"] or "-"),
        e["kex"] or "-",
        e["contender"],
        str(e["runs"]) + (f" (+{e['failed']} failed)" if e["failed"] else ""),
        f"{e[wall]['median']:.3g}",
        f"{e[used]['median'] * share:.3g}",
        server,
        f"{e['peak_mib']['median']:.0f}",
        ", ".join(shown),
    ]
    return f"| {' | '.join(cells)} |"


def _steps(steps: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["| step | times | median | p95 | sum |", "|---|---|---|---|---|"]
    for name, spread in sorted(steps.items(), key=lambda item: -item[1]["sum"]):
        lines.append(
            f"| {name} | {spread['count']} | {spread['median']:.2f} | {spread['p95']:.2f} | {spread['sum']:.0f} |"
        )
    return "\n".join(lines)
