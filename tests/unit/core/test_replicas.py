"""How many replicas Longhorn should keep, and what is changed for that."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.core.replicas import class_patch, left_behind, setting_patch, volume_patches, wanted


def node(*, ready: bool = True, scheduling: bool = True):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"spec": {"allowScheduling": scheduling}, "status": {"conditions": conditions}}


def test_as_many_as_nodes_take_replicas_and_no_more_than_three():
    assert wanted([]) == 0
    assert wanted([node(), node(ready=False), node(scheduling=False)]) == 1
    assert wanted([node()] * 5) == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1", "3"),
        ("3", None),
        ("5", None),
        ('{"v1":"1","v2":"1"}', '{"v1": "3", "v2": "3"}'),
        ('{"v1":"5","v2":"2"}', '{"v1": "5", "v2": "3"}'),
        ('{"v1":"3","v2":"4"}', None),
        ("", None),
        ("many", None),
        ('{"v1": []}', None),
        ("[1]", None),
    ],
)
def test_the_default_is_raised_and_never_lowered(before, after):
    patch = setting_patch({"value": before}, 3)
    assert (patch and patch.body["value"]) == after


def test_volumes_with_fewer_get_more():
    volumes = [
        {"metadata": {"name": name}, "spec": {"numberOfReplicas": count}}
        for name, count in (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 0))
    ]
    assert [p.path.rpartition("/")[2] for p in volume_patches(volumes, 3)] == ["a", "b"]
    assert volume_patches([{"metadata": {"name": "x"}}], 3) == []


@given(st.integers(0, 9), st.integers(1, 3), st.sampled_from(["", '"', "'"]))
def test_the_class_keeps_everything_but_the_count(before, count, quote):
    text = f"kind: StorageClass\nparameters:\n  numberOfReplicas: {quote}{before}{quote}\n  fromBackup: ''\n"
    patch = class_patch({"data": {"storageclass.yaml": text}}, count)
    if before >= count:
        assert patch is None
        return
    assert patch is not None
    told = yaml.safe_load(patch.body["data"]["storageclass.yaml"])
    assert told == {"kind": "StorageClass", "parameters": {"numberOfReplicas": str(count), "fromBackup": ""}}


def test_a_class_without_a_count_is_left_and_those_of_others_are_told():
    assert class_patch({}, 3) is None
    assert class_patch({"data": {"storageclass.yaml": "kind: StorageClass"}}, 3) is None
    mine = {
        "metadata": {"name": "mine"},
        "provisioner": "driver.longhorn.io",
        "parameters": {"numberOfReplicas": "1"},
    }
    other = {**mine, "provisioner": "rancher.io/local-path"}
    assert left_behind([mine, other, {**mine, "parameters": None}], 3) == ["mine"]
