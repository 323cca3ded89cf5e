"""A `Queries` made from a data file, real accounts in a store of their own, and the pages over both."""

import itertools
import json
import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.adapters.herald import EnrollNetwork
from controller.app.calendar_desk import CalendarDesk
from controller.app.inviting_desk import InvitingDesk
from controller.app.orders_desk import EnrollmentDesk, RolloutDesk
from controller.app.passwords import Cost, Passwords
from controller.app.people import People
from controller.app.updates_desk import UpdatesDesk
from controller.app.upkeep_desk import UpkeepDesk
from controller.app.writing import Writing
from controller.store import Home, Store, StoreQueries, events_read
from controller.store.records import StoreRecords
from controller.store.rollouts import NewRollout
from controller.store.schema import VERSIONS
from inventory.calendar import Blackout, MaintenanceWindow, SiteCalendar
from inventory.errors import UnknownName
from roles.enrollment.token import Token
from web.access.grants import Grant
from web.access.ports import Login
from web.app import create_app
from web.backend import Backend
from web.ports import ClusterView, EngineView, EventView, NodeView, RunView, SiteView

FIXTURES = Path(__file__).parents[2] / "fixtures" / "web"


class FileQueries:
    """The fleet of a fixture; its parts may be replaced while pages are open."""

    def __init__(self, data):
        self.now = datetime.fromisoformat(data["now"])
        self._engine = EngineView(**data["engine"])
        self.site_views = [SiteView(**each) for each in data["sites"]]
        self.cluster_views = [ClusterView(**each) for each in data["clusters"]]
        self.node_views = [NodeView(**each) for each in data["nodes"]]
        self.run_views = [RunView(**each) for each in data["runs"]]
        self.event_views = [EventView(**each) for each in data["events"]]
        self.facts_by_node = data["facts"]

    def clear(self):
        """A fleet of nothing."""
        self.site_views, self.cluster_views, self.node_views = [], [], []
        self.run_views, self.event_views, self.facts_by_node = [], [], {}

    def clock(self):
        return self.now

    def change(self, name, **fields):
        self.node_views = [replace(v, **fields) if v.name == name else v for v in self.node_views]

    def engine(self):
        return self._engine

    def sites(self):
        return self.site_views

    def clusters(self):
        return self.cluster_views

    def nodes(self):
        return self.node_views

    def node(self, name):
        for view in self.node_views:
            if view.name == name:
                return view
        raise UnknownName(f"there is no node {name!r}", fix="see cto node list")

    def runs(self, limit=20, before=""):
        start = [run.id for run in self.run_views].index(self.run(before).id) + 1 if before else 0
        return self.run_views[start : start + limit]

    def run(self, run_id):
        for run in self.run_views:
            if run.id == run_id:
                return run
        raise UnknownName(f"there is no run {run_id!r}", fix="see cto status")

    def events(self, after=0, limit=500, subject=""):
        found = [e for e in self.event_views if e.id > after and subject in ("", e.subject)]
        return found[:limit]

    def recent_events(self, limit=500, before=0, subject=""):
        return self.events_among([subject] if subject else None, before=before, limit=limit, newest=True)

    def events_among(self, subjects, *, limit, after=0, before=0, newest=False):
        found = [e for e in self.event_views if after < e.id and (not before or e.id < before)]
        found = [e for e in found if subjects is None or e.subject in subjects]
        return (found[::-1] if newest else found)[:limit]

    def search_events(self, asked, subjects):
        """By the store's own search, over the events of this fixture."""
        made = self._event_table()
        return events_read.search(lambda sql, values: made.execute(sql, values).fetchall(), asked, subjects)

    def _event_table(self):
        held = self.__dict__.get("held")
        if held is None or held[0] is not self.event_views or held[1] != len(self.event_views):
            made = sqlite3.connect(":memory:", check_same_thread=False)
            made.row_factory = sqlite3.Row
            for statement in (text for _, every in VERSIONS for text in every):
                if re.match(r"CREATE (TABLE events |INDEX \w+ ON events )", statement):
                    made.execute(statement)
            rows = [(e.id, e.at, e.kind, e.subject, e.message) for e in self.event_views]
            made.executemany(
                "INSERT INTO events (id, at, kind, subject, message) VALUES (?, ?, ?, ?, ?)", rows
            )
            held = self.held = self.event_views, len(self.event_views), made
        return held[2]

    def last_event_id(self):
        return max((event.id for event in self.event_views), default=0)

    def expiries(self):
        return {}

    def __getattr__(self, name):
        """What this fixture holds nothing of is read from the store: rollouts, enrolments."""
        if "store" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["store"], name)

    def facts(self, node, limit=2):
        return self.facts_by_node.get(node, [])[:limit]


@pytest.fixture
def queries():
    return FileQueries(json.loads((FIXTURES / "fleet.json").read_text()))


@pytest.fixture
def payloads():
    return json.loads((FIXTURES / "hostile.json").read_text())["payloads"]


NIGHT = MaintenanceWindow("night", ("berlin",), "", ("Sat", "Sun"), "02:00", 180, "05:00")
FAIR = Blackout("fair", ("berlin",), "2026-03-07", "2026-03-08", "trade fair", hard=True)
PASSWORD = "correct horse battery staple"
# name → grants; each has the password above. `local` enters by code only.
ACCOUNTS = {"anna": "admin", "olga": "operator:site=berlin", "otto": "operator", "vera": "viewer"}


@dataclass
class Services:
    """What use cases find here; as the wiring gives it, with the test's clock."""

    home: Home
    store: Store
    clock: object
    new_id: object
    queries: object
    clock_synchronized: object = lambda: True
    enrollment: object = field(default_factory=lambda: EnrollNetwork(None))


@dataclass
class Clock:
    now: object

    def monotonic(self):
        return 0.0


@pytest.fixture
def web_home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def opened(web_home, queries):
    """Opens services on the home, as each thread that writes does."""
    ids = itertools.count(1)

    @contextmanager
    def open_one():
        make_id = lambda: f"id-{next(ids)}"  # noqa: E731
        with (
            Store.open(web_home, now=queries.clock, new_id=make_id) as store,
            closing(StoreQueries(web_home)) as reads,
        ):
            yield Services(web_home, store, Clock(queries.clock), make_id, reads)

    return open_one


@pytest.fixture
def store_queries(web_home, opened, queries):
    with opened():
        pass  # makes the file
    with closing(StoreQueries(web_home)) as made:
        queries.store = made
        yield made


@pytest.fixture
def access(queries, opened, store_queries):
    """Accounts in a real store, with hashes that are cheap to make."""
    passwords = Passwords(Cost(passes=1, memory_kib=64, lanes=1))
    writing = Writing(opened)
    hashed = passwords.hash(PASSWORD)

    def people(services):
        services.store.ensure_local(actor="test")
        for name, grants in ACCOUNTS.items():
            services.store.add_account(name, [Grant.parse(grants)], actor="test")
            services.store.set_password(name, hashed, actor="test")

    writing.run(people)
    yield People(store_queries, writing, now=queries.clock, passwords=passwords)
    writing.close()


@pytest.fixture
def calendar(access, store_queries, queries):
    return CalendarDesk(store_queries, access._writing, now=queries.clock, synchronized=lambda: True)


@pytest.fixture
def windows(access):
    """Berlin has windows at the weekend, and a blackout on the first one."""
    calendars = [
        SiteCalendar("berlin", "Europe/Berlin", (NIGHT,), (FAIR,)),
        SiteCalendar("porto", "Europe/Lisbon"),
    ]
    access._writing.run(lambda s: s.store.declare_calendars(calendars, actor="test"))


@pytest.fixture
def opened_services(opened):
    """The same under a name that a browser test has free."""
    return opened


@pytest.fixture
def machine(access):
    """A machine that asks to join Berlin, as its protocol has left it in the store."""
    from inventory.fleet import Cluster, Fleet, Node, Site

    row = json.loads((FIXTURES / "enrollment.json").read_text())["row"]
    fleet = Fleet(
        "acme",
        {"berlin": Site("berlin", "acme", "Europe/Berlin", ("kn",))},
        {"kn": Cluster("kn", "berlin", "https://10.0.0.2:6443", "1.36.3", ("berlin-w-9",))},
        {"berlin-w-9": Node("berlin-w-9", "berlin", "kn", "worker")},
    )

    def put(services):
        services.store.declare(fleet, actor="test")
        token = Token.make(bytes(23))
        services.store.create_token(
            token, site="berlin", role="worker", uses=1, life=timedelta(days=1), actor="test"
        )
        values = {**row, "token": token.id, "hardware": json.dumps(row["hardware"])}
        marks = ", ".join("?" * len(values))
        services.store._connection.execute(
            f"INSERT INTO enrollments ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )

    access._writing.run(put)
    return row


@pytest.fixture
def put_machine(access, machine):
    """`put_machine("7c01d2ab", site="berlin")`: another machine that asks to join."""

    def put(id_="7c01d2ab", site="berlin", **fields):
        values = {**machine, "id": id_, "site": site, "token": "AAAAAAAAAA", "address": "10.0.0.51"}
        values |= {"words": "ENROLL zoo zone zero young you year", "hardware": json.dumps({"serial": id_})}
        values |= dict.fromkeys(("node_key", "request", "session"), id_ * 8) | fields

        def write(services):
            marks = ", ".join("?" * len(values))
            services.store._connection.execute(
                f"INSERT INTO enrollments ({', '.join(values)}) VALUES ({marks})", list(values.values())
            )

        access._writing.run(write)
        return values

    return put


@pytest.fixture
def rollout(access):
    """One that is under way, in its second wave."""
    made = json.loads((FIXTURES / "rollout.json").read_text())
    new = NewRollout(
        id=made["id"],
        actor="local:ada",
        reason=made["reason"],
        status="running",
        head="{}",
        summary=made["summary"],
        clusters=tuple((each["name"], each["site"], json.dumps(each)) for each in made["clusters"]),
        facts=made["facts"],
    )
    access._writing.run(lambda s: s.store.create_rollout(new))
    return made


@pytest.fixture
def backend(queries, access, store_queries, web_home, calendar):
    return Backend(
        queries,
        StoreRecords(web_home, store_queries),
        access,
        queries.clock,
        calendar,
        EnrollmentDesk(access._writing),
        RolloutDesk(access._writing),
        UpdatesDesk(access._writing),
        UpkeepDesk(access._writing),
        InvitingDesk(access._writing),
    )


@pytest.fixture
def app(backend):
    return create_app(backend)


@pytest.fixture
def login(app, access):
    """`login("vera")` → a client with her session; `.csrf` is what its forms carry."""

    def enter(name="anna"):
        client = app.test_client()
        made: Login = access._open(name, "password", "127.0.0.1")
        client.set_cookie("cto", made.cookie, domain="localhost")
        client.csrf, client.login = made.principal.csrf, made
        return client

    return enter


@pytest.fixture
def client(login):
    """Somebody who may do everything."""
    return login("anna")


@pytest.fixture
def bearer(access, login):
    """`bearer("admin")` → headers with a fresh token of anna's."""

    def make(grant="admin", name="anna"):
        who = login(name).login.principal
        _, text = access.create_api_token(who, Grant.parse(grant), note="test", days=1)
        return {"Authorization": f"Bearer {text}"}

    return make


@pytest.fixture
async def served(backend, access):
    """The whole application on a real server on a free loopback port: its base URL, with anna's cookie."""
    import asyncio
    import socket

    import uvicorn

    from web.asgi import build

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        build(backend), log_level="error", lifespan="on", timeout_graceful_shutdown=1, proxy_headers=False
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    running = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    port = listener.getsockname()[1]
    url = Served(f"http://127.0.0.1:{port}")
    url.cookie = (f"cto-{port}", access._open("anna", "password", "127.0.0.1").cookie)
    yield url
    server.should_exit = True
    await running
    listener.close()


class Served(str):  # noqa: SLOT000 - it carries a cookie
    """A base URL that knows a session's cookie: (name, value)."""

    cookie: tuple = ("", "")


@pytest.fixture
def news(access):
    """Releases of a feed, proposals from clusters, people who are told: as if all had come by their ways."""
    made = json.loads((FIXTURES / "updates.json").read_text())
    feed = made["feed"]

    def put(services):
        from controller.store.updates import ReleaseRow
        from inventory.fleet import Cluster, Fleet, Site

        store = services.store
        sites = {name: Site(name, "acme", "Europe/Berlin", (name,)) for name in ("berlin", "porto")}
        clusters = {name: Cluster(name, name, f"https://{name}.example:6443", "1.36.3", ()) for name in sites}
        store.declare(Fleet("acme", sites, clusters, {}), actor="test")
        store.set_feed(feed["url"], feed["channel"], "{}", actor="test", reason="test")
        rows = [
            ReleaseRow(
                feed["channel"],
                f"{each['kind']}-{each['version']}",
                json.dumps({"format": "cto-release/v1", **each}),
                "",
                "",
            )
            for each in made["releases"]
        ]
        store.accept_feed({}, rows, {feed["channel"]: made["floor"]})
        ends = {f"release metadata: {k}": datetime.fromisoformat(v) for k, v in made["ends"].items()}
        store.note_expiries("", ends)
        for name in made["staged"]:
            store.note_staged(feed["channel"], name, actor="test", sha256=())
        for each in made["proposals"]:
            store.propose(each["cluster"], each["body"], each["by"])
        for each in made["notifiers"]:
            topics = tuple(each["topics"])
            store.put_notifier(each["name"], each["kind"], each["settings"], topics, actor="test")

    access._writing.run(put)
    return made


@pytest.fixture
def full(windows, machine, rollout, news):
    """Something on every page."""
