"""`cto serve`: one engine and the web pages on one loop. Builds no page and decides nothing about who may."""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.app.apply import begin_engine, work
from controller.app.enrollment.host import keep_enrollment
from controller.app.feed_looks import keep_feed_looks
from controller.app.mirroring import keep_mirrors
from controller.app.notifying import keep_notifying
from controller.app.rollout_engine import drive_all
from controller.app.services import Services
from controller.app.snapshots import keep_snapshots
from controller.app.watch import watch
from controller.app.windows import keep_calendar
from controller.store import EngineLock, Home
from controller.store.home import write_private
from controller.store.lock import holder
from inventory.errors import OperatorError

if TYPE_CHECKING:
    import uvicorn

# What an engine does as long as it lives; each runs until it is cancelled.
_KEEPERS = (
    work,
    watch,
    drive_all,
    keep_calendar,
    keep_snapshots,
    keep_notifying,
    keep_mirrors,
    keep_enrollment,
    keep_feed_looks,
)
_MOST_AT_ONCE = 600  # connections; the open pages of 250 people and what they ask for
# Of TLS 1.2; those of 1.3 are fine as they are. Forward secrecy and authenticated encryption only.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_GRACE = 3  # seconds for requests that are under way when it ends


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the pages are served. Beyond this computer only by TLS."""

    host: str = "127.0.0.1"
    port: int = 8180
    crt: Path | None = None
    key: Path | None = None

    @property
    def secure(self) -> bool:
        return self.crt is not None

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    def url(self, port: int, name: str = "") -> str:
        host = name or self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.secure else 'http'}://{shown}:{port}/"


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve(
    services: Services,
    app: Callable[..., Any],
    *,
    listen: Listen,
    started: Callable[[str], None],
    name: str = "",
    beat: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ending: asyncio.Event | None = None,
) -> None:
    """Runs until cancelled. `app` is the ASGI application; `name` is how others call this host; `beat` runs
    beside it, for whoever watches whether the loop hangs; `ending` is set for `app` when it ends.

    Raises BusyError (with the pid) if another engine is at work.
    """
    import uvicorn

    if not listen.secure and not listen.loopback:
        raise OperatorError(
            "without TLS the pages are served on this computer only", fix="leave --listen out"
        )
    with EngineLock.acquire(services.home):
        begin_engine(services)
        server = uvicorn.Server(_config(app, listen))
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # ours
        told_to_end = _told_to_end()
        pages = asyncio.ensure_future(server.serve())
        tasks = [asyncio.ensure_future(keep(services)) for keep in _KEEPERS]
        tasks += [asyncio.ensure_future(beat())] if beat else []
        try:
            await _announced(services, server, pages, lambda port: listen.url(port, name), started)
            done, _ = await asyncio.wait([pages, told_to_end, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an engine that ended did so by an error, which must be seen
        finally:
            address_file(services.home).unlink(missing_ok=True)
            if ending is not None:
                ending.set()  # before the server waits for requests that are under way
            server.should_exit = True
            for task in (told_to_end, *tasks):
                task.cancel()
            await asyncio.gather(pages, told_to_end, *tasks, return_exceptions=True)


async def _announced(
    services: Services,
    server: "uvicorn.Server",
    pages: "asyncio.Future[None]",
    url_of: Callable[[int], str],
    started: Callable[[str], None],
) -> None:
    """When it listens, its address is written down and told."""
    while not server.started and not pages.done():
        await services.clock.sleep(0.05)
    if server.started:
        url = url_of(server.servers[0].sockets[0].getsockname()[1])  # the real port, if 0 was asked for
        write_private(address_file(services.home), url.encode())
        started(url)


def _told_to_end() -> "asyncio.Task[bool]":
    """Done when the process is asked to end (SIGTERM), as by systemd: it then ends as if all were over."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    return asyncio.ensure_future(asked.wait())


def address_file(home: Home) -> Path:
    """Where the pages are served just now; for `cto user code`."""
    return home.web / "address"


def served_at(home: Home) -> str:
    """The address of the pages; empty if nothing serves them."""
    if not holder(home):
        return ""  # what was written down is of one that was killed
    try:
        return address_file(home).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _config(app: Callable[..., Any], listen: Listen) -> "uvicorn.Config":
    import uvicorn

    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        log_level="warning",
        log_config=None,  # through the process's own handler, with a time before each line
        lifespan="on",
        proxy_headers=False,  # nobody in front of us says where a request comes from
        server_header=False,
        ssl_ciphers=_CIPHERS,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=str(listen.crt) if listen.crt else None,
        ssl_keyfile=str(listen.key) if listen.key else None,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config
