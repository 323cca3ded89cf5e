"""`web.ports.Queries` over another controller's API: what `cto --server URL` reads through.

The token comes from the environment and goes into a header only. A server without a well-known certificate
is held to the fingerprint that it printed, before anything is sent. `http_orders` orders through it.
"""

import hashlib
import hmac
import http.client
import json
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from inventory.errors import FleetError, OperatorError, StoreError, TransportError, UnknownName
from web.access.ports import NotAllowed, NotRecognized
from web.ports import (
    ClusterView,
    EngineView,
    EnrollmentView,
    EnrollWindowView,
    EventView,
    NodeView,
    RefusalView,
    RolloutView,
    RunView,
    SiteView,
)

T = TypeVar("T")
_PREFIX, _PAGE, _TIMEOUT = "/api/v1", 500, 30.0
ALL = 2**53
_MAX_ANSWER = 256 * 1024**2
_FAMILIES: dict[int, type[FleetError]] = {
    401: NotRecognized,
    403: NotAllowed,
    404: UnknownName,
    503: StoreError,
}


@dataclass(frozen=True, slots=True)
class Server:
    """`fingerprint`: SHA-256 of the certificate, with or without colons; empty: it has to be a known one."""

    url: str
    token: str = field(repr=False)
    fingerprint: str = ""


class HttpQueries:
    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise OperatorError(
                f"{server.url!r} is no address of a controller", fix="write it as https://cto.example:8443"
            )
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme == "http" and not local:
            raise OperatorError("a token is not sent without TLS", fix="write https://")
        if not server.token:
            raise OperatorError(
                "there is no token", fix="set CTO_TOKEN to one made with `cto apitoken create`"
            )
        self._server, self._host, self._tls = server, parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- Queries

    def engine(self) -> EngineView:
        return _view(EngineView, self._get("/engine"))

    def sites(self) -> Sequence[SiteView]:
        return [_view(SiteView, each) for each in self._pages("/sites")]

    def clusters(self) -> Sequence[ClusterView]:
        return [_view(ClusterView, each) for each in self._pages("/clusters")]

    def nodes(self) -> Sequence[NodeView]:
        found = [_view(NodeView, each) for each in self._pages("/nodes")]
        return sorted(found, key=lambda node: (node.site, node.cluster, node.name))

    def node(self, name: str) -> NodeView:
        return _view(NodeView, self._get(f"/nodes/{_quoted(name)}"))

    def runs(self, limit: int = 20, before: str = "") -> Sequence[RunView]:
        return [_view(RunView, each) for each in self._pages("/runs", before, limit)]

    def run(self, run_id: str) -> RunView:
        return _view(RunView, self._get(f"/runs/{_quoted(run_id)}"))

    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]:
        found: list[EventView] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            page = self._get("/events", after=after, limit=size, subject=subject)["events"]
            found += [_view(EventView, each) for each in page]
            if len(page) < size:
                break
            after = found[-1].id
        return found

    def recent_events(self, limit: int = 500, before: int = 0, subject: str = "") -> Sequence[EventView]:
        found: list[EventView] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            page = self._get("/events", newest="true", before=before, limit=size, subject=subject)["events"]
            found += [_view(EventView, each) for each in page]
            if len(page) < size:
                break
            before = found[-1].id
        return found

    def last_event_id(self) -> int:
        return int(self._get("/events", after=2**53, limit=1)["last"])

    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._get(f"/nodes/{_quoted(node)}/facts", limit=limit)
        return found

    def rollouts(self, limit: int = 20, before: str = "") -> Sequence[RolloutView]:
        return [_view(RolloutView, each) for each in self._pages("/rollouts", before, limit)]

    def rollout(self, rollout: str) -> RolloutView:
        return _view(RolloutView, self._get(f"/rollouts/{_quoted(rollout)}"))

    def rollout_clusters(self, rollout: str, cluster: str = "") -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._pages(f"/rollouts/{_quoted(rollout)}/clusters")
        return [each for each in found if cluster in ("", each["name"])]

    def rollout_sites(self, rollout: str) -> Sequence[str]:
        return sorted({each["site"] for each in self.rollout_clusters(rollout)})

    def enrollments(self, states: Sequence[str] = ()) -> Sequence[EnrollmentView]:
        found = [_view(EnrollmentView, each) for each in self._pages("/enrollments")]
        found.sort(key=lambda each: each.state != "pending")  # those that wait first, as elsewhere
        return [each for each in found if not states or each.state in states]

    def enrollment_refusals(self) -> Sequence[RefusalView]:
        """Not told over the API."""
        return []

    def enrollment_window(self) -> EnrollWindowView | None:
        """Not told over the API."""
        return None

    def expiries(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._get("/expiries")
        return found

    # --- what `cto status` asks beside them; the calendar is at /api/v1/calendar, already worked out

    def feed_problem(self) -> str:
        feed = self._get("/updates")["feed"]
        return str(feed["problem"]) if feed else ""

    def calendars(self) -> Sequence[Any]:
        return ()

    def freezes(self, _at: str) -> Sequence[Any]:
        return ()

    # --- HTTP

    def _pages(self, path: str, cursor: str = "", most: int = ALL) -> list[Any]:
        """What follows the cursor, to its end or until there are so many."""
        found: list[Any] = []
        while len(found) < most:
            page = self._get(path, cursor=cursor, limit=min(_PAGE, most - len(found)))
            found += page["items"]
            cursor = page["next"]
            if not cursor:
                break
        return found

    def _get(self, path: str, **params: str | int) -> Any:
        query = urlencode({key: value for key, value in params.items() if value != ""})
        return self.ask("GET", f"{path}{'?' if query else ''}{query}")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request below the API's prefix. An order carries a key of its own, so that it is done once."""
        try:
            return self._asked(method, f"{_PREFIX}{path}", body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TransportError(
                f"no answer that can be used: {error}",
                where=self._server.url,
                fix="check address and network",
            ) from error

    def _asked(self, method: str, target: str, body: Mapping[str, Any] | None) -> Any:
        connection = self._connected()
        headers = {"Authorization": f"Bearer {self._server.token}"}
        if method != "GET":
            headers |= {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        connection.request(method, target, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        told = answer.read(_MAX_ANSWER)
        if not 200 <= answer.status < 300:
            raise self._problem(answer.status, told)
        try:
            return json.loads(told)
        except ValueError:
            raise TransportError(
                "the answer is not JSON", where=self._server.url, fix="is this a controller?"
            ) from None

    def _problem(self, status: int, body: bytes) -> FleetError:
        try:
            told = json.loads(body)
            what, fix = str(told["title"])[:300], str(told.get("fix", ""))[:300]
        except (ValueError, KeyError, TypeError):
            what, fix = f"HTTP status {status}", "is this a controller of the same version?"
        family = _FAMILIES.get(status, OperatorError if status < 500 else TransportError)
        return family(what, where=self._server.url, fix=fix)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            made = _connect(self._host, self._port, self._tls, self._server)
            self._connection = made
        return self._connection


def _connect(host: str, port: int, tls: bool, server: Server) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    context = ssl.create_default_context()
    wanted = server.fingerprint.replace(":", "").strip().lower()
    if wanted:  # the fingerprint says which it must be, more exactly than any authority could
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
    connection.connect()
    shown = hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()
    if wanted and not hmac.compare_digest(wanted, shown):
        connection.close()
        raise TransportError(
            "the server shows another certificate than the one that was pinned",
            where=server.url,
            fix="compare with what `cto serve` printed; if they differ, somebody is in between",
        )
    return connection


def _view(kind: Callable[..., T], data: Mapping[str, Any]) -> T:
    """Fields that a newer controller added are passed over."""
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # all of them are dataclasses
    return kind(**{name: value for name, value in data.items() if name in known})


def _quoted(name: str) -> str:
    return quote(name, safe="")
