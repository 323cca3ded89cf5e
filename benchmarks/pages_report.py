"""What `benchmarks.pages` found, as a page for people. Measures nothing."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_TARGET_MS, _TARGET_KB = 150, 100


def markdown(found: Mapping[str, Any]) -> str:
    asked = found["asked"]
    rows = [
        f"| `{path}` | {row['requests']} | {row['p50_ms']} | {row['p95_ms']} | {row['cpu_ms']} | {row['kB']} | {row['kB_gzip']} |"
        for path, row in found["pages"].items()
    ]
    return "\n".join(
        [
            "# The pages of a large fleet under load",
            "",
            f"{asked['nodes']:,} nodes at {asked['sites']} sites, {asked['events']:,} events, 20,000 rows of the audit log, two windows",
            f"a site, a rollout of the whole fleet, 60 machines that wait. {asked['viewers']} viewers with two seconds between two pages,",
            f"{asked['streams']} open event streams, and a writer: {found['events_a_second']} events a second, each with a time of last sight.",
            f"Measured on {datetime.now(UTC):%Y-%m-%d} for {asked['seconds']} s with Python {platform.python_version()}",
            f"on {os.cpu_count()} cores, where the load of other work was {found['load_before']}.",
            "",
            "```sh hardware",
            ".venv/bin/python -m benchmarks.pages --report docs/reports/pages.md",
            "```",
            "",
            "| what | target | measured | |",
            "|---|---|---|---|",
            _line("p95 of the overview and all lists, ms", _TARGET_MS, found["lists_p95_ms"]),
            _line(
                f"p95 of the slowest of them (`{found['worst_list']}`), ms",
                _TARGET_MS,
                found["worst_list_p95_ms"],
            ),
            _line("the heaviest of them, kB without cache and compression", _TARGET_KB, found["heaviest_kB"]),
            f"| peak memory of the server, MiB | reported | {found['peak_MiB']} | |",
            f"| cores that the server took | reported | {found['cpu_cores']} | |",
            "",
            "Times are those of a viewer on the same machine: waiting for a thread and reading the answer are in them. Viewers and",
            "writer share the cores with the server; the viewers' process is nicer by five. CPU is of one request, with everything",
            "that many share read anew for it.",
            "",
            "| page | requests | p50 ms | p95 ms | CPU ms | kB | kB gzip |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _line(what: str, target: float, measured: float) -> str:
    return f"| {what} | < {target} | {measured} | {'met' if measured < target else '**missed**'} |"
