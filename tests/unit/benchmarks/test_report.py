"""The page's figures: what is missed is called missed, what was not measured is not called met. Entries are composed."""

from typing import Any

from benchmarks import report


def entry(bench: str, kex: str, hosts: int, contender: str, **medians: float) -> dict[str, Any]:
    figures = {name: {"median": value, "min": value} for name, value in medians.items()}
    return {
        "bench": bench,
        "kex": kex,
        "hosts": hosts,
        "contender": contender,
        "runs": 3,
        "failed": 0,
        **figures,
    }


def made(cto_cpu: float) -> dict[str, Any]:
    results = []
    for kex in ("default", "equal"):
        results += [
            entry("facts", kex, 200, "bare", wall=4.0, cpu=1.0, peak_mib=48.0),
            entry("facts", kex, 200, "cto", wall=4.0, cpu=cto_cpu, peak_mib=54.0),
        ]
    return {"machine": {"cores": 2}, "results": results}


def line(text: str, what: str) -> str:
    return next(row for row in text.splitlines() if row.startswith(f"| {what}"))


def test_a_target_is_met_or_missed_by_both_figures() -> None:
    assert line(report.figures(made(1.1)), "the same, client CPU").endswith("| 1.1 and 1.1 | met |")
    assert line(report.figures(made(1.3)), "the same, client CPU").endswith("| 1.3 and 1.3 | **missed** |")


def test_what_was_not_measured_is_said() -> None:
    row = line(report.figures(made(1.1)), "pyinfra `fact` against it")
    assert row.endswith("| - and - | not measured |")


def test_only_the_figures_of_the_page_are_replaced() -> None:
    page = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nMethod.\n"
    fresh = report.update(page, "new")
    assert fresh == f"# Title\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nMethod.\n"
    assert report.update(fresh, "new") == fresh
