"""The lab's reading of machine configurations: what it takes, what it refuses, and that nothing makes it fall over."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from iso.lab.disk import Disk
from iso.lab.talos.config import ConfigError, diff, load
from iso.lab.talos.immediate import needs_reboot
from tests.contract.talos_lab import bundle, config

SECRETS = bundle()
GOOD = list(yaml.safe_load_all(config(SECRETS)))
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("https://[")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3),
    max_leaves=6,
)
places = st.sampled_from(
    [
        ("machine",),
        ("cluster",),
        ("machine", "ca"),
        ("machine", "install"),
        ("machine", "install", "diskSelector"),
        ("machine", "kubelet"),
        ("machine", "type"),
        ("cluster", "controlPlane", "endpoint"),
        ("cluster", "network"),
        ("cluster", "etcd"),
        ("cluster", "serviceAccount"),
        ("extra",),
    ]
)


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    made = Disk(
        tmp_path_factory.mktemp("d") / "d.img", name="sda", size=1 << 20, serial="S", transport="sata"
    )
    yield [made]
    made.close()


def test_the_good_one_is_good(disks):
    found = load(config(SECRETS, nodeLabels={"a": 1}), minor=13, disks=disks)
    assert (found.hostname, found.control_plane, found.cni) == ("n1", True, "flannel")
    assert found.node_labels == {"a": "1"}
    assert found.endpoint_host == "127.0.0.1"


@settings(max_examples=60)
@given(places, values)
def test_any_value_anywhere_is_taken_or_refused(disks, place, value):
    document = copy.deepcopy(GOOD[0])
    inner = document
    for key in place[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            return
    inner[place[-1]] = value
    try:
        found = load(yaml.safe_dump(document).encode(), minor=13, disks=disks)
    except ConfigError:
        return
    assert found.ca_crt
    assert found.endpoint_host


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(disks, data):
    with pytest.raises(ConfigError):
        load(data, minor=13, disks=disks)


@pytest.mark.parametrize(
    ("minor", "kind", "version", "good"),
    [
        (13, "KubeSpanConfig", "v1alpha1", True),
        (12, "KubeSpanConfig", "v1alpha1", False),
        (13, "HostnameConfig", "v1", False),
        (13, "NoSuchConfig", "v1alpha1", False),
        (13, "UnattendedInstallConfig", "v1alpha1", False),
    ],
)
def test_further_documents_by_version(disks, minor, kind, version, good):
    text = yaml.safe_dump_all([GOOD[0], {"apiVersion": version, "kind": kind}]).encode()
    if good:
        assert len(load(text, minor=minor, disks=disks).documents) == 1
        return
    with pytest.raises(ConfigError, match="not registered"):
        load(text, minor=minor, disks=disks)


def test_a_worker_must_not_hold_the_keys(disks):
    worker = yaml.safe_load(config(SECRETS, kind="worker").split(b"---\n")[0])
    load(yaml.safe_dump(worker).encode(), minor=13, disks=disks)
    worker["machine"]["ca"] = dict(GOOD[0]["machine"]["ca"])
    with pytest.raises(ConfigError, match="not allowed"):
        load(yaml.safe_dump(worker).encode(), minor=13, disks=disks)
    worker["machine"]["ca"]["key"], worker["cluster"]["etcd"] = "", GOOD[0]["cluster"]["etcd"]
    with pytest.raises(ConfigError, match="only allowed on control plane"):
        load(yaml.safe_dump(worker).encode(), minor=13, disks=disks)


@pytest.mark.parametrize(
    ("change", "reboot"),
    [
        ({"sysctls": {"a": "1"}}, False),
        ({"kernel": {"modules": []}}, False),
        # It is kept for the next upgrade; nothing that runs has anything of it.
        ({"install": {"disk": "/dev/sda"}}, False),
        ({"features": {"hostDNS": {"enabled": True}}}, False),
        ({"features": {"rbac": False}}, True),
        ({"files": [{"path": "/var/a", "content": "b", "op": "create"}]}, True),
        ({"udev": {"rules": ["a"]}}, True),
    ],
)
def test_what_needs_a_reboot(disks, change, reboot):
    old, new = (load(config(SECRETS, **more), minor=13, disks=disks) for more in ({}, change))
    assert needs_reboot(old.main, new.main) is reboot
    assert diff(old.text, new.text).startswith("--- a")
