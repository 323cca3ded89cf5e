"""How the lab's Talos reads the documents of 1.14: in the places of old, never beside them, and per version."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from iso.lab.disk import Disk
from iso.lab.talos.config import ConfigError, load
from iso.lab.talos.split import as_one, conflicts, install_disk
from tests.contract.talos import matrix
from tests.contract.talos_lab import bundle, config


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    made = Disk(
        tmp_path_factory.mktemp("d") / "d.img", name="null", size=1 << 20, serial="S", transport="sata"
    )
    yield [made]
    made.close()


@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
@pytest.mark.parametrize("features", matrix.FEATURES)
def test_both_forms_say_the_same(disks, role, features):
    old, new = (
        load(matrix.render(f"1.{minor}", role, "static", features).encode(), minor=minor, disks=disks)
        for minor in (13, 14)
    )
    same = "control_plane endpoint cluster_name cluster_key ca_crt ca_key kube_ca cert_sans kube_sans"
    for name in [*same.split(), "hostname", "time_disabled", *(["cni"] if role != "worker" else [])]:
        assert getattr(old, name) == getattr(new, name), name
    assert old.node_labels.items() <= new.node_labels.items()
    assert new.kubelet_version == "v1.37.0"
    assert new.section("machine", "install")["disk"] == "/dev/null"


@pytest.mark.parametrize("minor", [8, 12, 13])
def test_older_releases_know_none_of_it(disks, minor):
    with pytest.raises(ConfigError, match="not registered"):
        load(matrix.render("1.14", "worker").encode(), minor=minor, disks=disks)


def test_the_form_of_old_is_still_read(disks):
    text = config(bundle()).replace(b"/dev/sda", b"/dev/null")
    assert load(text, minor=14, disks=disks).cluster_name == "kn"


def test_in_both_places_it_is_refused(disks):
    good = list(yaml.safe_load_all(matrix.render("1.14", "worker")))
    for field in (
        {"kubelet": {"image": "x:v1.37.0"}},
        {"install": {"disk": "/dev/null"}},
        {"sysctls": {"a": "1"}},
    ):
        main = {**good[0], "machine": {**good[0]["machine"], **field}}
        documents = [*good[1:], {"apiVersion": "v1alpha1", "kind": "SysctlConfig", "params": {"b": "2"}}]
        with pytest.raises(ConfigError, match="already set in v1alpha1 config"):
            load(yaml.safe_dump_all([main, *documents]).encode(), minor=14, disks=disks)


def test_without_an_install_document_it_is_still_good(disks):
    """1.14 asks for none: what is installed already needs none."""
    documents = [
        d for d in yaml.safe_load_all(matrix.render("1.14", "worker")) if "Install" not in str(d.get("kind"))
    ]
    assert (
        load(yaml.safe_dump_all(documents).encode(), minor=14, disks=disks).section("machine", "install")
        == {}
    )


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('disk.dev_path == "/dev/sda"', "/dev/sda"),
        ("disk.serial == 'S3Z9'", "S3Z9"),
        ('"/dev/disk/by-id/ata-X" in disk.symlinks', "/dev/disk/by-id/ata-X"),
        ("disk.size > 6u * GB && !disk.rotational", ""),
        ("", ""),
    ],
)
def test_expressions_that_name_one_disk(expression, found):
    assert install_disk(expression) == found


def test_a_disk_that_is_not_there(disks):
    text = matrix.render("1.14", "worker").replace("/dev/null", "/dev/sdz")
    with pytest.raises(ConfigError, match="does not exist"):
        load(text.encode(), minor=14, disks=disks)


values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
kinds = st.sampled_from(
    ["KubeClusterConfig", "KubeAPIServerCAConfig", "KubeNodeConfig", "UnattendedInstallConfig"]
)
fields = st.sampled_from(["issuingCA", "acceptedCAs", "labels", "taints", "provisioning", "endpoint"])


@given(
    st.dictionaries(st.sampled_from(["machine", "cluster"]), values), kinds, st.dictionaries(fields, values)
)
def test_any_value_anywhere(main, kind, document):
    documents = [{"kind": kind, **document}]
    assert isinstance(conflicts(main, documents), list)
    assert isinstance(as_one(main, documents), dict)
