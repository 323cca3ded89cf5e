"""From JSON lines to a summary and to tables: minimum, median, ratios. Measures nothing."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

REFERENCE = {"facts": "bare", "open": "bare pool", "noop": "floor", "cli": "python"}
FIGURES = ("wall", "cpu", "server_cpu", "peak_mib", "rss_mib", "anon_mib", "open_wall", "open_cpu")
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
        wanted = REFERENCE.get(entry["bench"])
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
    return entry


def markdown(entries: Sequence[Row]) -> str:
    """Medians, and the ratio to the reference as median / minimum."""
    lines = [
        "| bench | kex | hosts | contender | runs | wall s | client ms/host | server ms/host | peak MiB: one process / sum of anonymous | wall × | client CPU × |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for e in sorted(entries, key=lambda e: (*_setup(e), e["wall"]["median"] if e["runs"] else 0)):
        lines.append("| " + " | ".join(_cells(e)) + " |")
    return "\n".join(lines)


def _cells(e: Row) -> list[str]:
    runs = str(e["runs"]) + (f" (+{e['failed']} failed)" if e["failed"] else "")
    head = [e["bench"], e["kex"] or "-", str(e["hosts"] or "-"), e["contender"], runs]
    if not e["runs"]:
        return [*head, *["-"] * 6]
    wall, used = ("open_wall", "open_cpu") if "open_wall" in e else ("wall", "cpu")
    share = 1000 / (e["hosts"] or 1)
    server = f"{e['server_cpu']['median'] * share:.0f}" if e.get("server_cpu", {}).get("median") else "-"
    memory = f"{e['peak_mib']['median']:.0f} / {e['anon_mib']['median']:.0f}" if "rss_mib" in e else "-"
    cpu = f"{e[used]['median'] * share:.1f}" if used in e else "-"
    return [*head, f"{e[wall]['median']:.3g}", cpu, server, memory, _ratio(e, wall), _ratio(e, used)]


def _ratio(e: Row, figure: str) -> str:
    ratios = e.get("ratios", {})
    if f"{figure} median" not in ratios:
        return "-"
    return f"{ratios[f'{figure} median']:.2f} / {ratios.get(f'{figure} min', 0):.2f}"
