"""Files that are too long to be held: written and sent piece by piece, CSV or JSON. Reads nothing itself."""

import csv
import io
import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from flask import Response, current_app

from inventory.errors import BusyError
from web.lists import guarded, wanted_format

AT_ONCE = 2  # files under way; each has a thread of those that answer
_REST = 0.001  # seconds after each piece: who waits for a page goes first


def streamed(head: Sequence[str], pieces: Iterable[Sequence[Sequence[str]]], name: str) -> Response:
    """`pieces` are rows, some hundred at a time, read while the file is sent: the request is over by then."""
    free: threading.Semaphore = current_app.extensions.setdefault("streams", threading.Semaphore(AT_ONCE))
    if not free.acquire(blocking=False):
        raise BusyError(f"{AT_ONCE} long files are being taken away just now", fix="try again in a minute")
    wanted = wanted_format()
    texts = _json(head, pieces) if wanted == "json" else _csv(head, pieces)
    answer = Response(texts, mimetype="application/json" if wanted == "json" else "text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    held = ExitStack()
    held.callback(free.release)
    answer.call_on_close(held.close)  # also of an answer that nobody reads
    return answer


def _csv(head: Sequence[str], pieces: Iterable[Sequence[Sequence[str]]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    for rows in pieces:
        writer.writerows([guarded(cell) for cell in row] for row in rows)
        time.sleep(_REST)
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _json(head: Sequence[str], pieces: Iterable[Sequence[Sequence[str]]]) -> Iterator[str]:
    before = "["
    for rows in pieces:
        texts = [json.dumps(dict(zip(head, row, strict=True))) for row in rows]
        time.sleep(_REST)
        yield before + ",\n".join(texts)
        before = ",\n"
    yield "[]\n" if before == "[" else "]\n"
