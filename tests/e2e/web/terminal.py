"""`cto serve` on a terminal, as somebody starts it by hand: only there it prints a link with a code."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODE = "from controller.cli.main import main; main()"
LINK = re.compile(
    r"logs in as (?P<account>\w+), once: (?P<link>(?P<base>https?://[0-9.]+:\d+)/enter#(?P<code>[A-Z0-9-]+))"
)
CHROMIUM = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"]


@contextmanager
def serving(home: Path, *argv: str) -> Iterator[re.Match[str]]:
    """Until the end of the block; what its link says: account, link, base, code. `.string` is all it printed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "serve", "--port", "0", *argv],
        env={**os.environ, "CTO_HOME": str(home)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        shown = ""
        while (found := LINK.search(shown)) is None:
            shown += os.read(master, 4096).decode()
        yield found
    finally:
        process.terminate()
        process.wait(60)
        os.close(master)
