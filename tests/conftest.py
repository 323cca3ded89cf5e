"""Marks that say what a test needs, and the summary of what was skipped and why.

With CI=true a missing tool is a failure: a machine that should have it must not hide a broken set-up.
"""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

SBIN = ("/usr/sbin", "/sbin")


def pytest_configure(config: pytest.Config) -> None:
    # Debian keeps sshd, sgdisk and ip outside an ordinary user's PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *SBIN])


def _lacking(item: pytest.Item) -> str:
    for mark in item.iter_markers("needs"):
        missing = [tool for tool in mark.args if shutil.which(tool) is None]
        if missing:
            return f"needs {', '.join(missing)} (make test installs it when run as root)"
    if item.get_closest_marker("root") is not None and os.geteuid() != 0:
        return "needs root (network namespaces)"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = _lacking(item)
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true says this machine has it", pytrace=False)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reasons[
            report.longrepr[2].removeprefix("Skipped: ")
            if isinstance(report.longrepr, tuple)
            else str(report.longrepr)
        ] += 1
    terminalreporter.section("what was skipped, and why")
    if not reasons:
        terminalreporter.write_line("nothing was skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count}: {reason}")


@pytest.fixture
def fixtures() -> Path:
    """The folder of data fixtures; each file says captured or composed."""
    return Path(__file__).parent / "fixtures"
