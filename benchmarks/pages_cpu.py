"""CPU time of one request to each page, in this process and with no other visitor: what no other work can distort."""

import io
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def by_page(root: Path, pages: Sequence[str], *, repeat: int) -> dict[str, float]:
    """Milliseconds, the median. What many share is read anew before each request, so that its cost is counted."""
    from controller.app.people_admin import new_code
    from controller.wiring import open_services
    from web.app import create_app

    with open_services(root) as services:
        code = services.writing.run(lambda s: new_code(s, "local", actor="bench"))
        cookie = services.backend.access.enter(code, source="bench").cookie
        app: Any = create_app(services.backend)
        outdate: Any = getattr(services.backend.queries, "outdate", lambda: None)
        return {path: _median(app, path, cookie, outdate, repeat) for path in pages}


def _median(app: Any, path: str, cookie: str, outdate: Any, repeat: int) -> float:
    times = []
    for _ in range(repeat + 1):
        outdate()
        began = time.process_time()  # of all threads: some pages ask the one that writes
        status = _get(app, path, cookie)
        times.append(time.process_time() - began)
        if status != 200:
            raise SystemExit(f"{path}: {status}")
    return round(statistics.median(times[1:]) * 1000, 1)  # the first one compiles the template


def _get(app: Any, path: str, cookie: str) -> int:
    address, _, query = path.partition("?")
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_COOKIE": f"cto={cookie}; cto-80={cookie}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    answer = app(environ, lambda status, _headers, _error=None: said.append(status))
    for _ in answer:
        pass
    getattr(answer, "close", lambda: None)()
    return int(said[0][:3])
