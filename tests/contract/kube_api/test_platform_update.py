"""PlatformUpdate on a real API server with a real etcd: defined, written, read by the official client, edited by
somebody, put back, and kept as a proposal.
"""

import base64
import json
import shutil
from contextlib import suppress

import pytest
import urllib3
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from controller.app import mirroring
from controller.cli.base import App
from controller.cli.main import run
from controller.core import platform_update as mirror
from controller.wiring import open_services
from inventory.resolve import load_files
from tests.contract.kube_api.server import running
from tests.peers_tls import make_certificate

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]
ADDRESS = "127.91.7.5"
SITE = f"""apiVersion: fleet/v1
kind: Site
metadata: {{name: s}}
spec: {{timezone: Europe/Berlin, defaults: {{image: {{talos: 1.13.9}}}}}}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {{name: c}}
spec: {{site: s, endpoint: 'https://{ADDRESS}:6443', kubernetes: 1.36.3}}
---
apiVersion: fleet/v1
kind: Node
metadata: {{name: cp}}
spec: {{cluster: c, role: controlplane, address: {ADDRESS}}}
"""


def _kubeconfig(server, cert, key):
    crt, secret = (base64.b64encode(path.read_bytes()).decode() for path in (cert, key))
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": crt}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"client-certificate-data": crt, "client-key-data": secret}}],
        }
    ).encode()


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kube")
    cert, key = make_certificate(folder, ADDRESS)
    with running(folder, listen=f"{ADDRESS}:6443", cert=cert, key=key) as server:
        yield server, cert, key
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def services(tmp_path, api):
    with open_services(tmp_path / "home") as wiring:
        store = wiring.store
        store.declare(load_files({"s": SITE}).fleet, actor="ada")
        store._connection.execute("UPDATE clusters SET state = 'ready', verified_at = changed_at")
        store._connection.execute("UPDATE nodes SET state = 'ready', talos = '1.13.8'")
        store.put_secret("cluster/c/kubeconfig", _kubeconfig(*api))
        store.set_mirror("c", on=True, actor="ada")
        yield wiring


@pytest.fixture
def custom(api):
    """The official client, as somebody with kubectl would use it."""
    configuration = client.Configuration()
    configuration.host, configuration.ssl_ca_cert = api[0], str(api[1])
    with client.ApiClient(configuration) as made:
        yield client.CustomObjectsApi(made)
        with suppress(ApiException):  # a test that failed before it was made
            client.ApiextensionsV1Api(made).delete_custom_resource_definition(
                f"{mirror.PLURAL}.{mirror.GROUP}"
            )


def _get(custom):
    return custom.get_cluster_custom_object(mirror.GROUP, mirror.VERSION, mirror.PLURAL, mirror.NAME)


def _edit(custom, body):
    return custom.patch_cluster_custom_object(mirror.GROUP, mirror.VERSION, mirror.PLURAL, mirror.NAME, body)


async def test_it_tells_the_truth(services, custom):
    await mirroring.tick(services)
    (row,) = services.store.mirrors()
    assert row.problem == ""
    found = _get(custom)
    assert found["spec"]["talos"] == "1.13.8"
    assert found["status"]["state"] == "UpToDate"
    assert found["status"]["nodes"] == {"total": 1, "ready": 1}
    services.store._connection.execute("UPDATE nodes SET talos = '1.13.9'")
    await mirroring.tick(services)
    assert _get(custom)["status"]["versions"] == [{"talos": "1.13.9", "nodes": 1}]
    assert services.store.proposals() == ()  # our own change of mind is nobody's wish


async def test_what_kubectl_shows(services, custom, api):
    """The table that the server makes for kubectl, by the printer columns."""
    await mirroring.tick(services)
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    with urllib3.PoolManager(ca_certs=str(api[1])) as pool:
        answer = pool.request("GET", api[0] + mirror.PATH, headers=headers).json()
    titles = [column["name"] for column in answer["columnDefinitions"]]
    cells = dict(zip(titles, answer["rows"][0]["cells"], strict=True))
    assert (cells["State"], cells["Talos"], cells["Wanted"], cells["Nodes"]) == (
        "UpToDate",
        "1.13.8",
        "1.13.8",
        1,
    )


async def test_an_edit_is_a_proposal_and_is_put_back(services, custom):
    await mirroring.tick(services)
    _edit(custom, {"spec": {"talos": "1.14.0", "channel": "edge"}})
    await mirroring.tick(services)
    (proposal,) = services.store.proposals()
    assert dict(proposal.body) == {"talos": "1.14.0", "channel": "edge"}
    assert proposal.by
    assert _get(custom)["spec"]["talos"] == "1.13.8"
    assert "UpdateProposed" in [event.kind for event in services.queries.events()]
    await mirroring.tick(services)
    assert len(services.store.proposals()) == 1  # told once
    services.store.close_proposal(proposal.id, actor="ada")
    assert services.store.proposals() == ()


async def test_one_that_was_deleted_comes_back(services, custom):
    await mirroring.tick(services)
    custom.delete_cluster_custom_object(mirror.GROUP, mirror.VERSION, mirror.PLURAL, mirror.NAME)
    await mirroring.tick(services)
    assert _get(custom)["spec"]["talos"] == "1.13.8"


async def test_the_schema_holds(services, custom):
    """The server itself refuses what the schema forbids, and drops what it does not know."""
    await mirroring.tick(services)
    with pytest.raises(ApiException) as refused:
        _edit(custom, {"spec": {"talos": "x" * 65}})
    assert refused.value.status == 422
    assert "colour" not in _edit(custom, {"spec": {"colour": "red"}})["spec"]


async def test_a_cluster_that_does_not_answer_is_said(services, custom):
    services.store._connection.execute("UPDATE nodes SET address = '127.91.7.6'")
    await mirroring.tick(services)
    (row,) = services.store.mirrors()
    assert "no connection" in row.problem


# --- the commands, over what the server really holds


@pytest.fixture
def cto(services, capsys):
    def call(*argv):
        capsys.readouterr()
        app = App(home=services.home.root, environ={"USER": "ada"}, now=services.clock.now)
        code = run(["update", *argv], app)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


async def test_a_cluster_is_mirrored_from_the_command_to_the_command(services, custom, cto):
    assert cto("mirror", "c", "--off") == (0, "c: its PlatformUpdate is no longer kept\n", "")
    await mirroring.tick(services)
    with pytest.raises(ApiException) as missing:
        _get(custom)
    assert missing.value.status == 404
    assert cto("mirror", "c", "--output", "json")[1] == '{\n  "cluster": "c",\n  "mirror": true\n}\n'
    await mirroring.tick(services)
    assert _get(custom)["spec"]["talos"] == "1.13.8"
    cto("mirror", "c", "--off")
    _edit(custom, {"spec": {"talos": "1.14.0"}})
    await mirroring.tick(services)
    assert _get(custom)["spec"]["talos"] == "1.14.0"  # nobody looks at it any more
    assert cto("proposals")[1] == "no open proposals\n"
    rows = services.store._rows("SELECT after FROM audit WHERE action = 'set mirror' ORDER BY seq")
    assert [row["after"] for row in rows][-3:] == ["false", "true", "false"]


async def test_proposals_are_listed_and_closed(services, custom, cto):
    await mirroring.tick(services)
    _edit(custom, {"spec": {"talos": "1.14.0\x1b[2J", "channel": "edge"}})
    await mirroring.tick(services)
    code, text, _ = cto("proposals")
    assert code == 0
    assert "channel='edge'" in text
    assert "\x1b" not in text
    (shown,) = json.loads(cto("proposals", "--output", "json")[1])
    assert (shown["cluster"], shown["body"]["channel"]) == ("c", "edge")
    assert text.startswith(f"{shown['id']}  c  ")
    assert cto("proposals", "--close", str(shown["id"])) == (0, "no open proposals\n", "")
    code, _, error = cto("proposals", "--close", str(shown["id"]))
    assert (code, f"there is no open proposal {shown['id']}" in error) == (2, True)


async def test_what_is_wrong_is_said_by_the_commands(services, custom, cto):
    code, _, error = cto("mirror", "nowhere")
    assert (code, "there is no cluster 'nowhere'" in error) == (2, True)
    services.store._connection.execute("UPDATE nodes SET address = '127.91.7.6'")
    await mirroring.tick(services)
    code, text, _ = cto("proposals")
    assert code == 0
    assert text.startswith("! c: ")
    assert "no connection" in text
