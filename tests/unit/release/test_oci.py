"""Container images as folders and manifests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.oci_layout import Layout
from controller.core.release import oci
from inventory.errors import FleetError, OperatorError
from tests.peers_oci import INDEX, MANIFEST, Image


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        ("pause:3.10", "pause"),
        ("registry.k8s.io/pause:3.10", "pause"),
        ("docker.io/library/alpine:3.20", "library/alpine"),
        ("ghcr.io/siderolabs/installer:v1.13.9", "siderolabs/installer"),
        ("localhost/a:1", "a"),
        ("10.0.0.1:5000/a/b_c:1", "a/b_c"),
        ("library/alpine:x", "library/alpine"),
    ],
)
def test_a_name_loses_its_registry(text, repository):
    assert oci.Reference.parse(text).repository == repository


@pytest.mark.parametrize(
    "text", ["", "pause", "pause:", ":1", "Pause:1", "a//b:1", "../a:1", "a:b c", "a?x:1", "a:" + "x" * 129, "a" * 256 + ":1"]
)  # fmt: skip
def test_what_is_no_name_is_said(text):
    with pytest.raises(OperatorError, match="no image name"):
        oci.Reference.parse(text)


@given(st.text(max_size=60))
def test_whatever_is_a_name_is_safe_in_a_url(text):
    try:
        name = oci.Reference.parse(text)
    except OperatorError:
        return
    assert ".." not in name.repository
    assert not set(f"{name}") & set("?#%\\ \n")


def test_parts_come_before_what_names_them(tmp_path):
    image = Image.write(tmp_path, platforms=2)
    (top, name), = oci.tops((tmp_path / "index.json").read_bytes(), "x")  # fmt: skip
    assert name == "3.10"
    found = oci.parts(top, lambda part: image.blobs[part.sha256])
    assert {part.sha256 for part in found} == set(image.blobs)
    assert found[-1] == top
    order = {part.sha256: number for number, part in enumerate(found)}
    for part in found:
        if part.is_manifest:
            inner = image.blobs[part.sha256].decode()
            assert all(order[sha] < order[part.sha256] for sha in order if sha in inner)


def test_a_layout_becomes_artifacts(tmp_path):
    image = Image.write(tmp_path)
    found = Layout(tmp_path).artifacts("registry.k8s.io/pause:3.10")
    assert {each.target for each in found} == {f"oci/{sha}" for sha in image.blobs}
    assert oci.images(found) == ((oci.Reference("pause", "3.10"), image.top),)
    assert all(path.read_bytes() == image.blobs[each.target[4:]] for each, path in found.items())


def _blob(folder, image):
    return folder / "blobs" / "sha256" / image.layers[0]


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda f, i: (f / "index.json").unlink(), "no index.json"),
        (lambda f, i: (f / "index.json").write_text("{"), "not JSON"),
        (lambda f, i: (f / "index.json").write_text("[]"), "no JSON object"),
        (lambda f, i: (f / "index.json").write_text('{"manifests": []}'), "holds 0 images"),
        (lambda f, i: (f / "index.json").write_text('{"manifests": [{"digest": "md5:0"}]}'), "no SHA-256"),
        (lambda f, i: (f / "blobs" / "sha256" / i.top).unlink(), "or not all of one"),
        (lambda f, i: _blob(f, i).unlink(), "is missing"),
        (lambda f, i: _blob(f, i).write_bytes(b"x"), "not what its name says"),
        (lambda f, i: (f / "blobs/sha256" / i.top).rename(f / "x") and (f / "blobs/sha256" / i.top).symlink_to(f / "x"), "a link"),
    ],
)  # fmt: skip
def test_a_broken_layout_is_refused(tmp_path, bend, words):
    bend(tmp_path, Image.write(tmp_path))
    with pytest.raises(FleetError) as refused:
        Layout(tmp_path).artifacts("pause:3.10")
    assert words in refused.value.what


def test_indexes_in_indexes_end():
    top = oci.Part(INDEX, "a" * 64, 1)
    body = json.dumps(
        {"manifests": [{"mediaType": INDEX, "digest": "sha256:" + "a" * 64, "size": 1}]}
    ).encode()
    with pytest.raises(OperatorError, match="nested too deeply"):
        oci.parts(top, lambda part: body)


def test_an_image_has_a_bounded_number_of_parts():
    layer = {"mediaType": "x", "size": 1}
    layers = [{**layer, "digest": f"sha256:{number:064x}"} for number in range(600)]
    body = json.dumps({"config": layers[0], "layers": layers}).encode()
    with pytest.raises(OperatorError, match="more than 500 parts"):
        oci.parts(oci.Part(MANIFEST, "a" * 64, 1), lambda part: body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"mediaType": INDEX}, INDEX), ({"manifests": []}, INDEX), ({"layers": []}, MANIFEST), ({"mediaType": MANIFEST}, MANIFEST)],
)  # fmt: skip
def test_a_manifest_tells_what_it_is(body, kind):
    assert oci.media_type(json.dumps(body).encode(), "x") == kind


@given(st.binary(max_size=100))
def test_no_bytes_break_the_parsers(data):
    for parse in (oci.media_type, oci.tops):
        with pytest.raises(OperatorError):
            parse(data, "x")
