"""Comparing a node's running configuration with ours: order and defaults don't matter, secrets never show."""

import pytest
import yaml

from controller.app.adopted import difference
from inventory.errors import OperatorError
from tests.contract.talos import matrix


def reordered(text: str) -> str:
    """As another program might have written it: other orders, defaults and empty fields written out."""
    main, *others = yaml.safe_load_all(text)
    main |= {"debug": False, "persist": True}
    main["machine"]["disks"] = []
    return yaml.safe_dump_all([main, *reversed(others)], sort_keys=True)


@pytest.mark.parametrize("minor", ["1.8", "1.11", "1.13", "1.14"])
def test_the_same_in_another_order(minor: str) -> None:
    ours = matrix.render(minor, "controlplane", "bond", "much")
    assert reordered(ours) != ours
    assert difference(reordered(ours), ours) == ""
    assert difference(ours, ours) == ""


def test_what_differs_and_no_secret() -> None:
    ours = matrix.render("1.14", "controlplane")
    theirs = ours.replace("port: 7445", "port: 7446").replace(
        matrix.bundle().trustd_token, "aaaaaa.0123456789abcdef"
    )
    shown = difference(theirs, ours)
    assert "-port: 7446\n+port: 7445" in shown
    assert "*** (changed)" in shown
    assert matrix.bundle().trustd_token not in shown
    assert "aaaaaa" not in shown


def test_what_matters_is_not_taken_for_a_default() -> None:
    ours = matrix.render("1.13", "worker")
    assert "debug: true" in difference(
        ours.replace("version: v1alpha1", "version: v1alpha1\ndebug: true"), ours
    )


def test_no_yaml_is_told_without_a_quote() -> None:
    with pytest.raises(OperatorError, match="not YAML") as caught:
        difference("secret: [", matrix.render("1.13", "worker"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
