"""From JSON lines to a summary and to tables: minimum, median, ratios. Measures nothing."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

REFERENCE = {"facts": "bare", "open": "bare pool", "noop": "floor", "cli": "python"}
FIGURES = (
    "wall",
    "cpu",
    "server_cpu",
    "peak_mib",
    "rss_mib",
    "anon_mib",
    "open_wall",
    "open_cpu",
    "helpers",
    "helper_cpu",
    "lab_cpu",
    "lab_rss_mib",
    "all_rss_mib",
)
Row = dict[str, Any]


def read(paths: Iterable[Path]) -> list[Row]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def summarize(rows: Iterable[Row]) -> list[Row]:
    """One entry per contender and set-up. Runs with a problem don't count, but how many there were is said."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["bench"], row.get("kex", ""), row.get("hosts", 0), row["contender"]].append(row)
    found = [_entry(key, group) for key, group in groups.items()]
    for entry in found:
        wanted = REFERENCE.get(entry["bench"].split()[0])  # "facts grouped": another block
        reference = next((e for e in found if e["contender"] == wanted and _setup(e) == _setup(entry)), None)
        if reference and reference["runs"] and entry["runs"]:
            entry["ratios"] = {
                f"{figure} {kind}": round(entry[figure][kind] / reference[figure][kind], 3)
                for figure in FIGURES
                if figure in entry and reference.get(figure, {}).get("median")
                for kind in ("min", "median")
                if reference[figure][kind]
            }
    return found


def _setup(entry: Row) -> tuple[Any, ...]:
    return entry["bench"], entry["kex"], entry["hosts"]


def _entry(key: Sequence[Any], rows: Sequence[Row]) -> Row:
    good = [row for row in rows if not row.get("problem")]
    entry: Row = dict(zip(("bench", "kex", "hosts", "contender"), key, strict=True))
    entry |= {"runs": len(good), "failed": len(rows) - len(good)}
    for figure in FIGURES:
        values = [row[figure] for row in good if figure in row]
        if values:
            entry[figure] = {"min": round(min(values), 4), "median": round(statistics.median(values), 4)}
    if stepped := [row["steps"] for row in good if row.get("steps")]:
        entry["steps"] = stepped[-1]
    return entry


def markdown(entries: Sequence[Row]) -> str:
    """Medians, and the ratio to the reference as median / minimum."""
    head = [
        "| bench | kex | hosts | contender | runs | wall s | client ms/host | server ms/host | peak MiB: one process / sum of anonymous | wall x | client CPU x |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ordered = sorted(entries, key=lambda e: (*_setup(e), e["wall"]["median"] if e["runs"] else 0))
    return "\n".join([*head, *("| " + " | ".join(_cells(e)) + " |" for e in ordered)])


def _cells(e: Row) -> list[str]:
    runs = str(e["runs"]) + (f" (+{e['failed']} failed)" if e["failed"] else "")
    head = [e["bench"], e["kex"] or "-", str(e["hosts"] or "-"), e["contender"], runs]
    if not e["runs"]:
        return [*head, *["-"] * 6]
    wall, used = ("open_wall", "open_cpu") if "open_wall" in e else ("wall", "cpu")
    share = 1000 / (e["hosts"] or 1)
    server = f"{e['server_cpu']['median'] * share:.0f}" if e.get("server_cpu", {}).get("median") else "-"
    memory = f"{e['peak_mib']['median']:.0f} / {e['anon_mib']['median']:.0f}" if "peak_mib" in e else "-"
    cpu = f"{e[used]['median'] * share:.1f}" if used in e else "-"
    return [*head, f"{e[wall]['median']:.3g}", cpu, server, memory, _ratio(e, wall), _ratio(e, used)]


def _ratio(e: Row, figure: str) -> str:
    ratios = e.get("ratios", {})
    if f"{figure} median" not in ratios:
        return "-"
    return f"{ratios[f'{figure} median']:.2f} / {ratios.get(f'{figure} min', 0):.2f}"


def machine() -> dict[str, Any]:
    """What it ran on; no names."""
    facts = {
        "cores": os.cpu_count(),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
    }
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    system = next(
        (
            line.split("=", 1)[1].strip('"')
            for line in release.splitlines()
            if line.startswith("PRETTY_NAME=")
        ),
        "",
    )
    versions = {name: metadata.version(name) for name in ("asyncssh", "cryptography", "pyinfra")}
    return {
        **facts,
        "system": system,
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        **versions,
        **_tools(),
    }


def _tools() -> dict[str, str]:
    found = {
        "openssh": subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.strip()
    }
    pip = ROOT / "artifacts" / "bench-venv" / "bin" / "python"
    if pip.exists():
        listed = subprocess.run(
            [pip, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
        )
        found |= {
            x["name"]: x["version"]
            for x in json.loads(listed.stdout)
            if x["name"] in ("ansible-core", "paramiko")
        }
    return found


def main() -> None:
    """Tables of JSON lines; `--save FILE` also keeps the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    entries = summarize(read(options.files))
    print(markdown(entries))
    if options.save:
        save(entries, options.save, date=time.strftime("%Y-%m-%d"))


def save(entries: Sequence[Row], file: Path, *, date: str) -> Path:
    """The summary with the machine it is of, and the day."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"date": date, "machine": machine(), "results": entries}, indent=1)
    # One figure a line makes files nobody reads: the small objects stay on one.
    file.write_text(
        re.sub(r"\{\s+([^{}]*?)\s+\}", lambda m: "{" + re.sub(r"\s*\n\s*", " ", m[1]) + "}", text) + "\n"
    )
    return file


if __name__ == "__main__":
    main()
