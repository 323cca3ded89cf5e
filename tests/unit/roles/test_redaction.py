"""Nothing secret is ever shown, in whole or in a difference."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import yaml

from facts.machine_model import Hardware
from inventory.errors import OperatorError
from inventory.fleet import Cluster, Disk, Node
from roles import disks, machineconfig, redaction, secrets
from roles.secrets import SecretsBundle, b64
from roles.yaml_text import dump


@pytest.fixture
def rendered(
    bundle: SecretsBundle,
    make_node: Callable[..., Node],
    make_cluster: Callable[..., Cluster],
    make_hardware: Callable[..., Hardware],
) -> Callable[..., str]:
    def render(role: str = "controlplane", of: SecretsBundle = bundle, **settings: object) -> str:
        hardware = make_hardware()
        choice = disks.choose(Disk(), hardware, minimum=1)
        node, cluster = make_node(role, settings=settings), make_cluster()
        return machineconfig.render(node, cluster, of, choice, hardware=hardware).text

    return render


def all_secrets(bundle: SecretsBundle) -> list[str]:
    pairs = (bundle.os, bundle.etcd, bundle.k8s, bundle.k8s_aggregator)
    keys = [b64(pair.key) for pair in pairs] + [b64(bundle.k8s_service_account_key)]
    return [
        *keys,
        bundle.cluster_secret,
        bundle.bootstrap_token,
        bundle.trustd_token,
        bundle.secretbox_secret,
    ]


@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
def test_no_secret_of_the_cluster_is_shown(
    rendered: Callable[..., str], bundle: SecretsBundle, role: str
) -> None:
    shown = redaction.redact(rendered(role))
    assert [secret for secret in all_secrets(bundle) if secret in shown] == []
    assert "hostname: kn-1" in shown
    assert b64(bundle.os.crt) in shown  # a certificate is no secret


@pytest.mark.parametrize(
    "document",
    [
        {
            "machine": {
                "files": [
                    {"content": "x\n-----BEGIN RSA PRIVATE KEY-----\nhush\n-----END RSA PRIVATE KEY-----\n"}
                ]
            }
        },
        {"machine": {"files": [{"content": "-----BEGIN PRIVATE KEY-----\nhush"}]}},
        {"kind": "RegistryAuthConfig", "username": "u", "password": "hush"},
        {"kind": "WireguardConfig", "privateKey": "hush", "peers": [{"presharedKey": "hush"}]},
        {"kind": "EnvironmentConfig", "variables": {"http_proxy": "http://u:hush@proxy:3128"}},
        {"kind": "EnvironmentConfig", "variables": {"MY_API_TOKEN": "hush"}},
        {"kind": "ExtensionServiceConfig", "environment": ["TS_AUTHKEY=hush", "A=b"]},
        {"kind": "SideroLinkConfig", "apiUrl": "https://omni.example?jointoken=hush&x=y"},
        {"kind": "VolumeConfig", "encryption": {"keys": [{"static": {"passphrase": "hush"}}]}},
        {"cluster": {"token": b"hush"}},
    ],
)
def test_nor_those_that_patches_bring(document: dict[str, object]) -> None:
    shown = redaction.redact(dump(document))
    assert "hush" not in shown
    assert "***" in shown


def test_what_is_no_secret_stays() -> None:
    document = {
        "kind": "ExtensionServiceConfig",
        "environment": ["A=b"],
        "urls": ["https://a.example/b?c=d"],
        "n": 1,
    }
    assert yaml.safe_load(redaction.redact(dump(document))) == document


def test_a_difference_shows_what_changed_only(rendered: Callable[..., str]) -> None:
    old, new = rendered(nameservers=["10.0.0.1"]), rendered(nameservers=["10.0.0.2"], sysctls={"a.b": 1})
    lines = [line for line in redaction.diff(old, new).splitlines() if line[0] in "+-"]
    assert lines == [
        "--- now",
        "+++ then",
        "+    sysctls:",
        '+        a.b: "1"',
        '--   address: "10.0.0.1"',
        '+-   address: "10.0.0.2"',
    ]


def test_no_difference() -> None:
    assert redaction.diff("a: 1\n", "a: 1\n") == ""


def test_a_changed_secret_shows_as_changed(rendered: Callable[..., str], bundle: SecretsBundle) -> None:
    other = secrets.create(
        now=datetime(2026, 3, 1, tzinfo=UTC),
        random_bytes=os.urandom,
        service_account_key=bundle.k8s_service_account_key,
    )
    shown = redaction.diff(rendered(), rendered(of=other))
    assert "+    token: '*** (changed)'" in shown
    for secret in (*all_secrets(bundle), *all_secrets(other)):
        assert secret not in shown
    assert "serviceAccount" not in [line.strip("+- ") for line in shown.splitlines() if line.startswith("+")]


def test_a_bad_document_is_not_quoted() -> None:
    with pytest.raises(OperatorError) as caught:
        redaction.redact('password: "hush\nx')
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_of_a_long_text_the_hash_is_shown() -> None:
    """A manifest that changes all over must not make a plan of megabytes, nor keep it busy for seconds."""
    lines = [f"- line {number}" for number in range(20_000)]
    old, new = "\n".join(lines), "\n".join(reversed(lines))
    texts = [yaml.safe_dump({"cluster": {"inlineManifests": [{"contents": text}]}}) for text in (old, new)]
    shown = redaction.diff(*texts)
    assert len(shown) < 1000
    assert hashlib.sha256(new.encode()).hexdigest() in shown
    assert redaction.diff(texts[0], texts[0]) == ""


@pytest.mark.parametrize(
    "patch",
    [
        {"machine": {"token": "hidden"}},
        {"op": "replace", "path": "/machine/token", "value": "hidden"},
        {"op": "add", "path": "/machine/ca", "value": {"key": "hidden"}},
        {"op": "add", "path": "/cluster/secrets/-", "value": "hidden"},
        {"op": "add", "path": "/machine/env/x~1API_TOKEN", "value": "hidden"},
        {"op": "test", "path": "/machine/env", "value": {"API_TOKEN": "hidden"}},
        {"apiVersion": "v1alpha1", "kind": "X", "token": "hidden"},
    ],
)
def test_a_patch_is_shown_without_its_secrets(patch: dict[str, object]) -> None:
    shown = redaction.redact_patch(patch)
    assert "hidden" not in shown
    assert redaction.HIDDEN in shown
    assert yaml.safe_load(shown).keys() == patch.keys()


def test_what_is_no_secret_in_a_patch_is_shown() -> None:
    patch = {"op": "replace", "path": "/machine/sysctls/vm.swappiness", "value": "10"}
    assert yaml.safe_load(redaction.redact_patch(patch)) == patch
