"""The schema for editors, the reference page and the folder of kinds agree with the models."""

from pathlib import Path
from string import Template

import jsonschema
import pytest
import yaml

from inventory.documents import kinds
from inventory.reference import BEGIN, END, update
from inventory.resolve import load_files
from inventory.schema import json_schema
from inventory.yaml_source import load

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
TABLE = yaml.safe_load((Path(__file__).parents[2] / "fixtures/sites/broken.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_validates(validator, path):
    for document in load(path.read_text(encoding="utf-8"), path.name):
        validator.validate(document.data)


@pytest.mark.parametrize("part", TABLE["parts"])
def test_the_sound_parts_validate(validator, part):
    for document in load(TABLE["parts"][part], part):
        validator.validate(document.data)


# Mistakes of shape, which an editor can show without knowing the other documents.
SHAPE = [
    "no name",
    "name in capitals",
    "number as name",
    "wrong kind",
    "unknown key",
    "key in snake case",
    "port too large",
    "port as text",
    "yes is no truth",
    "disk path",
    "Talos version as number",
    "Talos minor only",
    "schematic",
    "extension",
    "wrong role",
    "no role",
    "wrong method",
    "taint",
    "truth as sysctl",
    "list where a map belongs",
    "weekday in full",
    "no weekday",
    "time of day",
    "24 o'clock",
]


@pytest.mark.parametrize("name", SHAPE)
def test_mistakes_of_shape_do_not_validate(validator, name):
    case = next(case for case in TABLE["cases"] if case["name"] == name)
    documents = load(Template(case["text"]).safe_substitute(TABLE["parts"]), name)
    assert any(not validator.is_valid(document.data) for document in documents)


@pytest.mark.parametrize(
    "spec",
    [
        {"clusters": [{"name": "${site.name}", "nodes": [{"name": "a", "role": "boss"}]}]},
        {"clusters": [{"name": "a", "nodes": [{"name": "a", "role": "worker", "sshport": 1}]}]},
        {"defaults": {"disk": {"wipe": "maybe"}}},
    ],
)
def test_mistakes_inside_a_template_do_not_validate_either(validator, spec):
    document = {"apiVersion": "fleet/v1", "kind": "SiteTemplate", "metadata": {"name": "t"}, "spec": spec}
    assert not validator.is_valid(document)


def test_null_may_remove_anything_inherited(validator):
    spec = {
        "defaults": {"disk": None, "settings": {"sysctls": {"vm.swappiness": None}}},
        "nodes": {"a-1": None},
    }
    document = {"apiVersion": "fleet/v1", "kind": "Site", "metadata": {"name": "a"}, "spec": spec}
    validator.validate(document)


def test_kinds_are_found_by_their_place_and_named_like_their_module():
    modules = {path.stem for path in (ROOT / "inventory/documents").glob("*.py")} - {"__init__"}
    assert {kind.lower() for kind in kinds()} == {module.replace("_", "") for module in modules}
    assert len(kinds()) == 9
    for kind, model in kinds().items():
        assert model.model_fields["kind"].annotation.__args__ == (kind,)
        assert model.__doc__


def test_every_key_is_described(validator):
    for name, part in validator.schema["$defs"].items():
        for key, field in part.get("properties", {}).items():
            described = field.get("description") or (name in kinds() and key == "kind")
            described = described or any(option.get("description") for option in field.get("anyOf", ()))
            assert described, f"{name}.{key} has no description"


def test_the_reference_page_is_up_to_date():
    page = (ROOT / "docs/site-files.md").read_text(encoding="utf-8")
    assert BEGIN in page
    assert END in page
    assert update(page) == page, "run: python -m inventory.reference < docs/site-files.md"


def test_the_example_on_the_reference_page_resolves():
    page = (ROOT / "docs/site-files.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    assert list(load_files({"page": text}).fleet.nodes) == ["home-1"]
