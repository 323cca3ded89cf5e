"""The benchmark of the pages works: a small fleet, every page, the writer, the report."""

import argparse

from benchmarks import pages, pages_report
from benchmarks.pages_fleet import make


def test_the_whole_benchmark_on_a_small_fleet(tmp_path):
    root = tmp_path / "home"
    asked = argparse.Namespace(**pages.QUICK, warm_up=0.0, repeat=1, quick=True)
    make(root, sites=asked.sites, nodes=asked.nodes, events=asked.events)
    found = pages.measure(root, asked)
    assert found["requests"] > 0
    assert found["events_a_second"] > 0
    assert found["news"] > 0
    assert found["peak_MiB"] > 0
    assert all(row["cpu_ms"] > 0 for row in found["pages"].values())
    text = pages_report.markdown({**found, "asked": vars(asked), "load_before": 0.5})
    assert "300 nodes at 10 sites, 2,000 events" in text
    for path in found["pages"]:
        assert f"| `{path}` |" in text


def test_every_page_is_light_and_there(tmp_path):
    """By one request to each; that it answers is checked where its time is measured."""
    root = tmp_path / "home"
    make(root, sites=4, nodes=100, events=500)
    cpu = pages.pages_cpu.by_page(root, pages.PAGES, repeat=1)
    assert set(cpu) == set(pages.PAGES)
