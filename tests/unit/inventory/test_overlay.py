"""Layers: what wins, what is removed, what accumulates, and who said it."""

from hypothesis import given
from hypothesis import strategies as st

from inventory.overlay import Layer, Stack, find_path, merge
from inventory.yaml_source import load


def layer(name, text):
    (document,) = load(text, f"{name}.yaml")
    return Layer(name, document.data, document)


STACK = Stack(
    (
        Layer("built-in", {"port": 22, "disk": {"wipe": False}}),
        layer(
            "organization",
            "settings:\n  servers: [a, b]\n  sysctls: {vm.swappiness: 1, vm.max: 2}\npatches: [{x: null}]",
        ),
        layer(
            "site", "settings:\n  servers: [c]\n  sysctls:\n    vm.max: null\nport: 2222\npatches: [{y: 1}]"
        ),
        layer("node", "disk: {wipe: true}\nsettings: {proxy: null}"),
    )
)


def test_maps_merge_lists_replace_null_removes_patches_accumulate():
    assert STACK.merged() == {
        "port": 2222,
        "disk": {"wipe": True},
        "settings": {"servers": ["c"], "sysctls": {"vm.swappiness": 1}},
        "patches": [{"x": None}, {"y": 1}],
    }


def test_explain_lists_every_layer_that_spoke_lowest_first():
    said = [(o.layer, o.value, o.file, o.line) for o in STACK.explain(("settings", "sysctls", "vm.max"))]
    assert said == [("organization", 2, "organization.yaml", 3), ("site", None, "site.yaml", 4)]
    assert [o.layer for o in STACK.explain(("port",))] == ["built-in", "site"]
    assert STACK.explain(("nothing",)) == ()


def test_a_path_that_nobody_set_is_located_at_its_nearest_parent():
    assert (STACK.where(("settings", "nothing")).file, STACK.where(("settings", "nothing")).line) == (
        "node.yaml",
        2,
    )
    assert STACK.where(("port", "x")).file == "site.yaml"


def test_a_map_replaces_a_value_and_the_other_way_round():
    assert merge({"a": 1}, {"a": {"b": None, "c": 2}}) == {"a": {"c": 2}}
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


def test_dotted_paths_find_keys_that_hold_dots():
    tree = {"settings": {"sysctls": {"vm.max": 1, "vm": {"max": 2}}}}
    assert find_path(tree, "settings.sysctls.vm.max") == ("settings", "sysctls", "vm.max")
    assert find_path(tree, "settings") == ("settings",)
    assert find_path(tree, "settings.nothing") is None


# Layers of one model: a key is a map in all of them or in none.
leaves = {"value": st.integers(0, 3), "items": st.lists(st.integers(0, 3), max_size=2)}
inner = st.fixed_dictionaries({}, optional=leaves)
trees = st.fixed_dictionaries({}, optional={**leaves, "map": inner, "other": inner})


@given(trees, trees, trees)
def test_merging_is_associative_and_changes_nothing_it_is_given(a, b, c):
    before = repr((a, b, c))
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge({}, a) == merge(a, {}) == merge(a, a) == a
    assert repr((a, b, c)) == before


def test_null_brings_a_built_in_default_back():
    stack = Stack((Layer("built-in", {"port": 22}), layer("site", "port: 2222"), layer("node", "port: null")))
    assert stack.merged() == {"port": 22}
    assert [o.layer for o in stack.explain(("port",))] == ["built-in", "site", "node", "built-in"]
