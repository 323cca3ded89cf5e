"""`cto secrets` and what `cto status` shows of certificates: text, JSON, exit codes, file modes."""

import json
from datetime import timedelta

import pytest

from controller.cli.base import App
from controller.cli.main import run
from inventory.resolve import load_files
from roles.secrets import expiries, from_yaml, to_yaml
from tests.unit.app.test_bundles import SITE


@pytest.fixture
def cto(services, capsys, tmp_path):
    def call(*argv, now=None):
        home = services.home.root
        app = App(home=home, environ={"CTO_HOME": str(home), "USER": "ada"})
        if now is not None:
            app.now = lambda: now
        code = run([str(word) for word in argv], app)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def file(tmp_path, text):
    path = tmp_path / "bundle.yaml"
    path.write_text(text)
    return path


def test_import_export_and_the_words_about_it(cto, file, tmp_path, bundle, other):
    code, out, _ = cto("secrets", "import", "kn", file)
    assert (code, "still has them in clear" in out) == (0, True)
    assert json.loads(cto("secrets", "import", "kn", file, "--output", "json")[1])["imported"] is False
    target = tmp_path / "out.yaml"
    code, out, _ = cto("secrets", "export", "kn", "--out", target)
    assert (code, "owns the cluster" in out) == (0, True)
    assert target.stat().st_mode & 0o777 == 0o600
    assert from_yaml(target.read_text()) == bundle
    assert cto("secrets", "export", "kn", "--out", target)[0] == 2  # never over a file
    assert from_yaml(cto("secrets", "export", "kn", "--stdout")[1]) == bundle
    assert cto("secrets", "export", "kn")[0] == 2
    file.write_text(to_yaml(other))
    code, out, err = cto("secrets", "import", "kn", file)
    assert (code, "--replace" in err) == (2, True)
    assert other.trustd_token not in out + err


def test_create_writes_a_bundle_once(cto, tmp_path):
    target = tmp_path / "made.yaml"
    assert cto("secrets", "create", "kn", "--output-file", target)[0] == 0
    assert from_yaml(target.read_text())
    assert cto("secrets", "create", "kn")[0] == 2
    assert cto("secrets", "export", "other", "--stdout")[0] == 2


def test_status_names_what_ends(cto, services, store, file, bundle):
    store.declare(load_files({"site.yaml": SITE}).fleet, actor="test")
    cto("secrets", "import", "kn", file)
    soon = expiries(bundle)["os"] - timedelta(days=20)
    _, out, _ = cto("status", now=soon)
    assert "CA os ends on" in out
    assert "in 20 days" in out
    shown = json.loads(cto("status", "--output", "json", now=soon)[1])
    assert set(shown["clusters"][0]["expires"]) == {"CA os", "CA etcd", "CA k8s", "CA k8saggregator"}
    assert any("CA os" in need["text"] for need in shown["needs"])
    assert "CA os" not in cto("status", now=soon - timedelta(days=20))[1]
