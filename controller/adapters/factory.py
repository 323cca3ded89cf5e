"""Tells an image factory a schematic, so that it can serve the images of its id. Fetches no image.

A factory knows an id only after its document was posted once (`POST /schematics`, answered by 201 and the
id). Ids are predicted here, so the factory's answer is compared with the prediction before it is relied on.
"""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable

from inventory.errors import OperatorError, TransportError

_TIMEOUT = 30  # seconds without a byte
_MAX_ANSWER = 64 * 1024
_IMAGE = re.compile(r"(?P<factory>https?://.+)/image/(?P<id>[0-9a-f]{64})/[^/]+/[^/]+")
_FIX = (
    "check the network, the proxy and image.factory; or post the schematic to the factory by other means; "
    "then run again"
)


def fetch_known(fetch: Callable[[], None], url: str, document: str) -> None:
    """Calls `fetch`; if the factory of `url` answers 404, posts `document` to it and calls `fetch` again.

    Without a document, or if `url` is not laid out as a factory's are, the 404 stands.
    """
    try:
        fetch()
    except TransportError as error:
        place = _IMAGE.fullmatch(url)
        if not document or place is None or not _is_missing(error):
            raise
        register(place["factory"], place["id"], document)
        fetch()


def register(factory: str, predicted: str, document: str) -> None:
    """Posts `document`. Raises OperatorError if the factory gives it another id than `predicted`."""
    url = f"{factory}/schematics"
    given = _id_in(_post(url, document), url)
    if given != predicted:
        raise OperatorError(
            f"the factory gives the schematic the id {given}, but {predicted} was predicted",
            where=url,
            fix="if the factory's id is right, write it as image.schematic in the site file (instead of "
            "image.extensions); it is kept as it is then",
        )


def _post(url: str, document: str) -> bytes:
    headers = {"Content-Type": "application/yaml"}
    request = urllib.request.Request(url, document.encode(), headers, method="POST")  # noqa: S310 - http(s) by _IMAGE
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            body: bytes = response.read(_MAX_ANSWER)
            return body
    except urllib.error.HTTPError as error:
        what = f"the factory did not take the schematic: it answered {error.code} {error.reason}"
        raise TransportError(what, where=url, fix=_FIX) from error
    except (OSError, http.client.HTTPException) as error:
        what = f"the schematic could not be posted to the factory: {error}"
        raise TransportError(what, where=url, fix=_FIX) from error


def _id_in(body: bytes, url: str) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    given = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(given, str) or not re.fullmatch(r"[0-9a-f]{64}", given):
        fix = "check that image.factory is an Image Factory, and that no proxy answers in its place"
        raise TransportError("the factory's answer has no schematic id", where=url, fix=fix)
    return given


def _is_missing(error: TransportError) -> bool:
    cause = error.__cause__
    return isinstance(cause, urllib.error.HTTPError) and cause.code == http.client.NOT_FOUND
