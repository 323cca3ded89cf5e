"""`cto serve`: one engine and the web pages on one loop. Builds no page; listens on loopback only for now."""

import asyncio
from collections.abc import Callable
from typing import Any

from controller.app.apply import begin_engine, work
from controller.app.services import Services
from controller.app.watch import watch
from controller.app.windows import keep_calendar
from controller.store import EngineLock


async def serve(
    services: Services,
    app: Callable[..., Any],
    *,
    port: int,
    started: Callable[[str], None],
    host: str = "127.0.0.1",
) -> None:
    """Runs until cancelled.

    `app` is the ASGI application. Raises BusyError (with the pid) if another engine is at work.
    """
    import uvicorn

    with EngineLock.acquire(services.home):
        begin_engine(services)
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", lifespan="on", timeout_graceful_shutdown=3
        )
        server = uvicorn.Server(config)
        pages = asyncio.ensure_future(server.serve())
        engine = asyncio.ensure_future(work(services))
        watching = asyncio.ensure_future(watch(services))
        calendar = asyncio.ensure_future(keep_calendar(services))
        try:
            while not server.started and not pages.done():
                await services.clock.sleep(0.05)
            if server.started:
                bound = server.servers[0].sockets[0].getsockname()[1]  # the real one, if 0 was asked for
                started(f"http://{host}:{bound}/")
            done, _ = await asyncio.wait(
                [pages, engine, watching, calendar], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()  # an engine that ended did so by an error, which must be seen
        finally:
            server.should_exit = True
            engine.cancel()
            watching.cancel()
            calendar.cancel()
            await asyncio.gather(pages, engine, watching, calendar, return_exceptions=True)
