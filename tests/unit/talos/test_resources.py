import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.talos.messages import message
from facts.talos.resources import (
    DISCOVERED_VOLUMES,
    MACHINE_STATUS,
    SPECS,
    as_mapping,
    machine_stage,
    spec_of,
)
from inventory.errors import NodeError


def test_a_known_type_is_read_from_protobuf():
    spec = message(SPECS[DISCOVERED_VOLUMES][1])(
        partition_label="metal-iso", dev_path="/dev/sda5", partition_index=5
    )
    found = spec_of(DISCOVERED_VOLUMES, spec.SerializeToString(), "partitionLabel: wrong\n")
    assert (found["partition_label"], found["dev_path"], found["partition_index"]) == (
        "metal-iso",
        "/dev/sda5",
        5,
    )
    assert found["label"] == ""


def test_nested_and_repeated_messages_become_plain_values():
    spec = message(SPECS[MACHINE_STATUS][1])(stage=4)
    spec.status.unmet_conditions.add(name="services", reason="etcd")
    assert as_mapping(spec) == {
        "stage": 4,
        "status": {"ready": False, "unmet_conditions": [{"name": "services", "reason": "etcd"}]},
    }
    assert spec_of(MACHINE_STATUS, b"", "")["status"]["unmet_conditions"] == []


def test_another_type_is_read_from_yaml(fixtures):
    text = (fixtures / "talos" / "mount_status.yaml").read_text()
    found = spec_of("MountStatuses.runtime.talos.dev", b"", text)
    assert (found["target"], found["options"]) == ("/var", ["noatime"])
    assert spec_of("Some.type", b"", "- 1\n") == {"value": [1]}


@pytest.mark.parametrize(
    "text", ["a: [", "a: &x [1]\nb: *x\n", "x" * ((1 << 20) + 1), "!!python/object/apply:os.getcwd []"]
)
def test_yaml_that_is_refused(text):
    with pytest.raises(NodeError):
        spec_of("Some.type", b"", text)


@given(st.sampled_from(sorted(SPECS)), st.binary(max_size=200))
def test_garbage_is_an_error_of_the_node(type_, data):
    try:
        found = spec_of(type_, data, "")
    except NodeError:
        return  # says that it can't be decoded
    assert isinstance(found, dict)


def test_stages_by_name():
    assert [machine_stage(number) for number in (0, 3, 4, 6, 77)] == [
        "unknown",
        "maintenance",
        "running",
        "shutting-down",
        "unknown",
    ]
