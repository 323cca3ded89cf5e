"""The official Kubernetes API server for custom resources, with an etcd of its own, for one test."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.gobuild import program

HERE = Path(__file__).parent


@contextmanager
def running(folder: Path, *, listen: str, cert: Path, key: Path) -> Iterator[str]:
    """Its address, https://…; it takes any client and any request."""
    arguments = ["--data", str(folder), "--listen", listen, "--cert", str(cert), "--key", str(key)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen([program(HERE), *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise RuntimeError((folder / "server.log").read_text()[-2000:])
            yield line.strip()
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
