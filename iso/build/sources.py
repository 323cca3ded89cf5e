"""Where packages come from: this machine's own apt configuration, nothing else.

So a build uses the mirrors, proxies and keys its owner chose. Changes no configuration.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from inventory.errors import OperatorError
from iso.build import tools

_FORMAT = "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
# Settings of apt that decide whether a fetch gets through, passed on as they are.
_PASSED = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Sources:
    lines: tuple[str, ...]  # for sources.list
    options: tuple[str, ...]  # for apt.conf

    def environment(self) -> dict[str, str]:
        return {name: os.environ[name] for name in PROXIES if name in os.environ}


def of_this_machine(suite: str, components: Iterable[str]) -> Sources:
    """The Debian archives of `suite` that this machine knows, with its updates and security archives."""
    wanted = " ".join(components)
    lines = parse(tools.run(["apt-get", "indextargets", "--format", _FORMAT]), suite, wanted)
    if not any(f" {suite} " in line for line in lines):
        raise OperatorError(
            f"this machine's apt knows no archive of Debian {suite}",
            where="/etc/apt/sources.list",
            fix="add one, run apt-get update, and build again",
        )
    dump = tools.run(["apt-config", "dump", "--no-empty", "Acquire"])
    return Sources(lines, tuple(line for line in dump.splitlines() if line.split(" ", 1)[0] in _PASSED))


def parse(targets: str, suite: str, components: str) -> tuple[str, ...]:
    """Lines for sources.list from `apt-get indextargets`, in the format above; Debian only."""
    found = []
    for line in targets.splitlines():
        kind, uri, release, component, origin = (line.split("|") + [""] * 5)[:5]
        ours = release in (suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates")
        if kind == "Packages" and origin == "Debian" and component == "main" and ours:
            found.append(f"deb {uri} {release} {components}")
    return tuple(dict.fromkeys(found))
