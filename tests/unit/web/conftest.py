"""A `Queries` made from a data file, and the pages over it. Speaks the protocol; holds no opinion."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from inventory.errors import OperatorError
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
        raise OperatorError(f"there is no node {name!r}", fix="see cto node list")

    def runs(self, limit=20):
        return self.run_views[:limit]

    def run(self, run_id):
        return next(run for run in self.run_views if run.id == run_id)

    def events(self, after=0, limit=500, subject=""):
        found = [e for e in self.event_views if e.id > after and subject in ("", e.subject)]
        return found[:limit]

    def last_event_id(self):
        return max((event.id for event in self.event_views), default=0)

    def facts(self, node, limit=2):
        return self.facts_by_node.get(node, [])[:limit]


@pytest.fixture
def queries():
    return FileQueries(json.loads((FIXTURES / "fleet.json").read_text()))


@pytest.fixture
def empty_queries():
    data = json.loads((FIXTURES / "fleet.json").read_text())
    cleared = {key: [] for key in ("sites", "clusters", "nodes", "runs", "events")}
    return FileQueries({**data, **cleared, "facts": {}, "engine": {}})


@pytest.fixture
def payloads():
    return json.loads((FIXTURES / "hostile.json").read_text())["payloads"]


@pytest.fixture
def client(queries):
    from web.app import create_app

    return create_app(queries, clock=queries.clock).test_client()


@pytest.fixture
async def served(queries):
    """The whole application on a real server on a free loopback port: its base URL."""
    import asyncio
    import socket

    import uvicorn

    from web.asgi import build

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        build(queries, clock=queries.clock), log_level="error", lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    running = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await running
    listener.close()
