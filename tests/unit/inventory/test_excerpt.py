"""Site files cut down to one site: it means the same, and the others are not in it."""

from pathlib import Path

import pytest
import yaml

from inventory.errors import OperatorError
from inventory.excerpt import of_site
from inventory.resolve import load_files

EXAMPLES = Path(__file__).parents[3] / "examples"


def texts(name: str) -> dict[str, str]:
    place = EXAMPLES / name
    paths = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    return {str(path): path.read_text() for path in paths}


@pytest.mark.parametrize("name", ["appliance.yaml", "ha-site.yaml", "forty-sites"])
def test_every_site_means_the_same_by_itself(name: str) -> None:
    whole = load_files(texts(name)).fleet
    for site in list(whole.sites)[:3]:
        alone = load_files({"s": of_site(texts(name), site)}).fleet
        assert list(alone.sites) == [site]
        assert alone.sites[site] == whole.sites[site]
        assert alone.nodes == {key: node for key, node in whole.nodes.items() if node.site == site}


def test_other_sites_and_calendars_stay_behind() -> None:
    fleet = load_files(texts("forty-sites")).fleet
    site, other = list(fleet.sites)[:2]
    text = of_site(texts("forty-sites"), site)
    documents = list(yaml.safe_load_all(text))
    assert [item["metadata"]["name"] for item in documents if item["kind"] == "Site"] == [site]
    assert f"name: {other}\n" not in text
    assert not {item["kind"] for item in documents} & {"MaintenanceWindow", "Blackout", "UpdatePolicy"}


def test_text_stays_text() -> None:
    """YAML 1.1 would make numbers of them."""
    made = {
        "a": "apiVersion: fleet/v1\nkind: Site\nmetadata: {name: s, labels: {id: '007', open: 'yes', size: '1e3'}}\n"
        "spec: {timezone: UTC}\n"
    }
    assert load_files({"s": of_site(made, "s")}).fleet.sites["s"].labels == {
        "id": "007",
        "open": "yes",
        "size": "1e3",
    }


def test_a_site_that_is_not_there() -> None:
    with pytest.raises(OperatorError, match="no site file has a site 'nowhere'") as caught:
        of_site(texts("appliance.yaml"), "nowhere")
    assert "name one of" in caught.value.fix
