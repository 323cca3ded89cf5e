"""The official Go library as a program: built on demand, kept in artifacts/, spoken to in lines of JSON."""

import asyncio
import fcntl
import hashlib
import json
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).parent
ARTIFACTS = HERE.parents[2] / "artifacts" / "talos_api"
_LINE = 64 << 20  # a snapshot is one line


def program() -> Path:
    """Built once for each state of the sources, also when several test processes ask at the same time."""
    digest = hashlib.sha256()
    for path in sorted((*HERE.glob("*.go"), HERE / "go.mod", HERE / "go.sum")):
        digest.update(path.name.encode() + path.read_bytes())
    made = ARTIFACTS / f"talosapi-{digest.hexdigest()[:16]}"
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with (ARTIFACTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in ARTIFACTS.glob("talosapi-*"):
                old.unlink()
            _build(made)
    return made


def _build(target: Path) -> None:
    command = ["go", "build", "-mod=readonly", "-o", str(target), "."]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"go build failed:\n{done.stderr}")


def describe() -> dict:
    done = subprocess.run([program(), "describe"], capture_output=True, check=True)
    return json.loads(done.stdout)


class Talk:
    """One running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def say(self, line) -> None:
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self):
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError((await self._process.stderr.read()).decode())
        return json.loads(line)

    async def call(self, name: str, **request):
        """One call of the official client: (gRPC code, its reply, its error)."""
        await self.say({"call": name, "request": request})
        answer = await self.hear()
        return answer["code"], answer["reply"], answer.get("error", "")

    async def ok(self, name: str, **request):
        code, reply, error = await self.call(name, **request)
        assert code == "OK", f"{name}: {code} {error}"
        return reply


@asynccontextmanager
async def running(command: str, first):
    path = await asyncio.to_thread(program)
    process = await asyncio.create_subprocess_exec(
        path,
        command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    talk = Talk(process)
    try:
        await talk.say(first)
        yield talk
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
