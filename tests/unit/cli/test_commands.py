"""Commands over a real store: what they print, as text and as JSON, and their exit codes."""

import errno
import json
import os
import stat
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.app.demo import demo_home, only_demo
from controller.cli.base import App
from controller.cli.errors import report

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # as in conftest.py
BROKEN = "apiVersion: fleet/v1\nkind: Site\nmetadata: {name: x}\nspec: {timezone: CET}\n"


def test_validate_good_and_bad(cto, site, tmp_path):
    assert "3 nodes" in cto("validate", "-f", site).out
    assert cto("validate", "-f", site, "--output", "json").json["nodes"] == 3
    (tmp_path / "bad.yaml").write_text(BROKEN)
    ran = cto("validate", "-f", "bad.yaml")
    assert ran.code == 2
    assert "bad.yaml:4" in ran.err
    assert "→" in ran.err
    error = json.loads(cto("validate", "-f", "bad.yaml", "--output", "json").err)["error"]
    assert error["slug"] == "site-file"
    assert error["problems"][0]["line"] == 4


def test_site_files_are_found_by_default(cto, site, tmp_path):
    assert cto("validate").code == 2
    assert "-f FILE" in cto("validate").err
    assert cto("validate", environ={"CTO_SITE": str(site)}).code == 0
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "a.yaml").write_text(site.read_text())
    assert cto("validate").code == 0


def test_a_file_that_is_no_text_is_the_operators_error(cto, tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    assert cto("validate", "-f", "x.yaml").code == 2
    assert cto("validate", "-f", "missing.yaml").code == 2
    (tmp_path / "empty").mkdir()
    assert cto("validate", "-f", "empty").code == 2


def test_render_and_explain(cto, site):
    assert "berlin-cp-1:" in cto("render", "-f", site).out
    assert "porto-1" in cto("render", "-f", site, "--output", "json").json["nodes"]
    ran = cto("render", "-f", site, "--explain", "clusters/berlin/endpoint", "--output", "json")
    assert ran.json["layers"][-1]["value"] == "https://127.66.0.1:6443"
    assert ran.json["layers"][-1]["file"].endswith("site.yaml")


def test_schema_is_one_document(cto):
    assert "2020-12" in cto("schema").json["$schema"]


@pytest.mark.parametrize("argv", [("node", "list"), ("cluster", "show"), ("events",), ("window", "list")])
def test_a_list_of_nothing_says_so(cto, argv):
    ran = cto(*argv)
    assert ran.code == 0
    assert " yet" in ran.out + ran.err
    empty = cto(*argv, "--output", "json")
    assert (empty.code, empty.err) == (0, "")


def test_status_of_nothing_says_how_to_start(cto, home):
    ran = cto("status")
    assert ran.code == 0
    assert "cto demo" in ran.out
    assert not home.exists()


def test_status_shows_states_ages_steps_and_needs(cto, fleet):
    out = cto("status").out
    assert "0 of 3 nodes ready" in out
    assert "prepare and check the machine 75%" in out
    assert "check its power" in out
    assert "cto node add porto-1" in out
    assert "60 s ago" in out  # taking facts is seeing the machine


def test_status_marks_what_is_old(cto, fleet):
    assert "old" in cto("status", now=NOW + timedelta(hours=2)).out


def test_status_json_and_selectors(cto, fleet):
    whole = cto("status", "--output", "json").json
    assert [node["name"] for node in whole["nodes"]] == ["berlin-cp-1", "berlin-w-1", "porto-1"]
    assert whole["nodes"][0]["step"] == "prepare"
    for option in (("--site", "porto"), ("--cluster", "porto"), ("--node", "porto-1")):
        assert [n["name"] for n in cto("node", "list", *option, "--output", "json").json] == ["porto-1"]
    assert [n["name"] for n in cto("node", "list", "-l", "rack=7", "--output", "json").json] == [
        "berlin-cp-1"
    ]
    ran = cto("status", "--site", "paris")
    assert ran.code == 2
    assert "known: berlin, porto" in ran.err


def test_events_are_lines(cto, fleet):
    assert "StepStarted" in cto("events").out
    lines = cto("events", "--output", "json").lines
    assert [e["id"] for e in lines] == sorted(e["id"] for e in lines)
    last = lines[-1]["id"]
    assert cto("events", "--after", str(last), "--output", "json").lines == []
    about = cto("events", "--node", "berlin-cp-1", "--output", "json").lines
    assert {event["subject"] for event in about} == {"node/berlin-cp-1"}
    assert len(cto("events", "--limit", "2", "--output", "json").lines) == 2
    ran = cto("events", "--node", "nobody")  # silence would look like "nothing happened"
    assert ran.code == 2
    assert "no node 'nobody' is known here" in ran.err


def test_a_host_key_may_be_a_file(cto, key, tmp_path):
    (tmp_path / "cp.pub").write_text(f"{key} root@cp\n")
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    add = ("node", "add", "n1", "--address", "10.0.0.11", "--host-key")
    for wrong, said in (
        ("none.pub", "none.pub: can't be read: No such file"),
        (tmp_path, "Is a directory"),
        ("noise", "noise: not UTF-8 text"),
        ("nonsense", "not an OpenSSH public key line"),
        ("A" * 700, "not an OpenSSH public key line"),
    ):
        ran = cto(*add, wrong)
        assert (ran.code, said in ran.err) == (2, True), ran.err
    assert cto(*add, "cp.pub").code == 0


def test_what_can_not_be_reached_is_not_pinned(cto, key):
    for more in (
        ["--jump", "gate"],
        ["--user", ""],
        ["--user", "a b"],
        ["--address", "1.2.3.4 ; rm"],
        ["--site", "Bad Name"],
    ):
        ran = cto("node", "add", "n1", "--address", "10.0.0.11", "--host-key", key, *more)
        assert (ran.code, "→ write" in ran.err or "→ use" in ran.err) == (2, True), ran.err
    assert cto("node", "list", "--output", "json").json == []


def test_a_home_that_is_a_file_is_the_operators_error(cto, home):
    home.write_text("a letter")
    for argv in (("status",), ("node", "list"), ("lab", "up")):
        ran = cto(*argv)
        assert (ran.code, "is not a directory" in ran.err) == (2, True), ran.err
    findings = {each["check"]: each for each in cto("doctor", "--output", "json").json["findings"]}
    assert findings["home"]["level"] == "bad"
    assert "is not a directory" in findings["home"]["what"]


def test_node_show_says_where_it_is_reached(cto, key):
    for name, way in (("plain", []), ("moved", ["--jump", "ops@gate.example"])):
        address = "10.0.0.11:2222" if way else "10.0.0.11"
        assert cto("node", "add", name, "--address", address, *way, "--host-key", key).code == 0
    assert "10.0.0.11:2222 through ops@gate.example\n" in cto("node", "show", "moved").out
    assert " 10.0.0.11\n" in cto("node", "show", "plain").out
    refused = cto("node", "add", "moved", "--address", "10.0.0.11", "--host-key", key)
    assert "10.0.0.11:2222 through ops@gate.example" in refused.err


def test_one_of_a_kind_is_said_as_one(cto, site, make_store):
    from inventory.resolve import load_files

    kept = load_files({"site.yaml": site.read_text()}).fleet
    porto = replace(
        kept,
        sites={"porto": kept.sites["porto"]},
        clusters={name: c for name, c in kept.clusters.items() if c.site == "porto"},
        nodes={name: n for name, n in kept.nodes.items() if n.site == "porto"},
    )
    with make_store(NOW) as store:
        store.declare(porto, actor="local:ada")
    assert "1 site · 0 of 1 cluster ready · 0 of 1 node ready" in cto("status").out


def test_node_show_says_what_changed(cto, fleet):
    out = cto("node", "show", "berlin-cp-1").out
    assert "memory.total" in out
    assert "→" in out
    shown = cto("node", "show", "berlin-cp-1", "--output", "json").json
    assert shown["changes"][0]["path"] == "memory.total"
    assert cto("node", "show", "nobody").code == 2


def test_facts_show_and_diff(cto, fleet):
    out = cto("facts", "show", "berlin-cp-1").out
    assert "PowerEdge" in out
    assert (
        cto("facts", "diff", "berlin-cp-1", "--output", "json").json["changes"][0]["path"] == "memory.total"
    )
    ran = cto("facts", "show", "berlin-w-1")
    assert ran.code == 2
    assert "cto facts gather --node berlin-w-1" in ran.err


def test_hardware_matches_facts_from_a_file(cto, fleet, tmp_path):
    (tmp_path / "f.json").write_text(cto("facts", "show", "berlin-cp-1", "--output", "json").out)
    assert cto("hardware", "match", "--facts", "f.json", "--output", "json").json["profile"] == "dell-r660"
    assert "dell-r660" in cto("hardware", "list").out


def test_node_add_with_a_key(cto, key, home):
    ran = cto(
        "node",
        "add",
        "edge-1",
        "--address",
        "10.0.0.9:2222",
        "--host-key",
        key,
        "--site",
        "s",
        "--output",
        "json",
    )
    assert ran.code == 0
    assert ran.json["words"].startswith("KEY ")
    assert cto("node", "list", "--output", "json").json[0]["state"] == "pinned"
    assert cto("node", "add", "edge-1", "--address", "10.0.0.9:2222", "--host-key", key).code == 0
    assert cto("node", "add", "edge-1", "--address", "10.0.0.10", "--host-key", key).code == 2
    assert cto("node", "add", "edge-1", "--address", "10.0.0.10", "--host-key", key, "--replace").code == 0


@pytest.mark.parametrize("name", ["Edge", "a b", "x" * 64, "a/b", "\x1b[31m"])
def test_a_node_has_a_plain_name(cto, key, name):
    assert cto("node", "add", name, "--address", "10.0.0.9", "--host-key", key).code == 2


def test_there_is_no_trust_on_first_use(cto, key):
    assert cto("node", "add", "n", "--address", "10.0.0.9").code == 2
    assert cto("node", "add", "n", "--address", "10.0.0.9", "--host-key", key, "--confirm-words").code == 2
    assert cto("node", "add", "n", "--address", "10.0.0.9", "--host-key", "ssh-ed25519 AAAA").code == 2


def test_cluster_show(cto, fleet):
    assert "https://127.66.0.1:6443" in cto("cluster", "show", "berlin").out
    assert cto("cluster", "show", "berlin", "--output", "json").json["members"] == [
        "berlin-cp-1",
        "berlin-w-1",
    ]
    assert len(cto("cluster", "show", "--output", "json").json) == 2
    assert cto("cluster", "show", "atlantis").code == 2


def test_kubeconfig_is_handed_out_in_private_files(cto, fleet, make_store, home, tmp_path):
    ran = cto("cluster", "kubeconfig", "berlin")
    assert ran.code == 2
    assert "cto apply" in ran.err
    with make_store() as store:
        store.put_secret("cluster/berlin/kubeconfig", b"secret: canary\n")
    path = home / "clusters" / "berlin" / "kubeconfig"
    assert cto("cluster", "kubeconfig", "berlin").out.strip() == str(path)
    assert path.read_text() == "secret: canary\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "canary" in cto("cluster", "kubeconfig", "berlin", "--stdout").out
    assert cto("cluster", "kubeconfig", "berlin", "--out", "k").code == 0
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert cto("cluster", "kubeconfig", "berlin", "--out", "k").code == 2


def cheap_key():
    """A service account key that is made in no time; the tests don't need a strong one."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption()
    ).decode()


def test_talosconfig_is_made_for_a_limited_time(cto, fleet, make_store):
    import base64
    import re
    import secrets

    from cryptography import x509

    from roles.secrets import create, to_yaml

    assert cto("cluster", "talosconfig", "berlin").code == 2
    with make_store() as store:
        bundle = create(now=NOW, random_bytes=secrets.token_bytes, service_account_key=cheap_key())
        store.put_secret("cluster/berlin/secrets", to_yaml(bundle).encode())
    text = cto("cluster", "talosconfig", "berlin", "--hours", "2", "--stdout").out
    assert "127.66.0.1" in text
    crt = x509.load_pem_x509_certificate(base64.b64decode(re.search(r"crt: (\S+)", text).group(1)))
    assert crt.not_valid_after_utc <= NOW + timedelta(hours=2)


BUNDLE = Path(__file__).parents[2] / "fixtures" / "roles" / "bundle.yaml"
ELSEWHERE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec: {timezone: UTC}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: far}
spec: {}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {name: far}
spec:
  site: far
  kubernetes: 1.36.3
  endpoint: https://api.far.example:6443
  defaults: {image: {talos: 1.13.9}}
  nodes:
    - {name: far-1, role: controlplane, address: 10.0.0.5, talosAddress: 10.9.0.5}
    - {name: far-2, role: worker, address: 10.0.0.6}
"""


def test_access_to_a_cluster_that_only_its_files_know(cto, home, tmp_path):
    """Offline: nothing is fetched, nothing is recorded, and it is said which addresses were taken."""
    import yaml

    (tmp_path / "far.yaml").write_text(ELSEWHERE)
    files = ("-f", "far.yaml", "--secrets", BUNDLE)
    ran = cto("cluster", "kubeconfig", "far", *files)
    assert ran.code == 0, ran.err
    made = yaml.safe_load(Path(ran.out.strip()).read_text())
    assert made["clusters"][0]["cluster"]["server"] == "https://api.far.example:6443"
    assert "endpoint: https://api.far.example:6443 (by the site file)" in ran.err
    assert f"valid until {NOW + timedelta(hours=24):%Y-%m-%d %H:%M} UTC" in ran.err
    assert stat.S_IMODE(Path(ran.out.strip()).stat().st_mode) == 0o600
    told = cto("cluster", "talosconfig", "far", *files, "--hours", "3", "--output", "json").json
    assert (told["endpoints"], told["said_by"]) == (["10.9.0.5"], "the site file")
    made = yaml.safe_load(Path(told["path"]).read_text())["contexts"]["far"]
    assert (made["endpoints"], made["nodes"]) == (["10.9.0.5"], ["10.9.0.5", "10.0.0.6"])
    assert cto("cluster", "show", "--output", "json").json == []
    (tmp_path / "site.yaml").write_text(ELSEWHERE)  # what is read when no file is named
    assert cto("cluster", "talosconfig", "far", "--secrets", BUNDLE, "--out", "t").code == 0
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o600
    for wrong, what in (
        (("cluster", "kubeconfig", "near", *files), "the site files have no cluster 'near'"),
        (("cluster", "kubeconfig", "far"), "no cluster 'far' is known here"),
        (("cluster", "kubeconfig", "far", "-f", "far.yaml"), "it has no secrets yet"),
        (("cluster", "kubeconfig", "far", "-f", "far.yaml", "--secrets", "far.yaml"), "not YAML"),
    ):
        ran = cto(*wrong)
        assert ran.code == 2
        assert what in ran.err


def test_access_is_made_offline_from_what_is_kept(cto, fleet, make_store):
    """Before anything was fetched, or for a time of its own; a fetched one stays what it is."""
    import yaml

    with make_store() as store:
        store.put_secret("cluster/berlin/secrets", BUNDLE.read_bytes())
    ran = cto("cluster", "kubeconfig", "berlin", "--stdout")
    assert ran.code == 0, ran.err
    assert yaml.safe_load(ran.out)["clusters"][0]["cluster"]["server"] == "https://127.66.0.1:6443"
    assert "endpoint: https://127.66.0.1:6443 (by what is known here)" in ran.err
    kept = "clusters: [{name: b, cluster: {server: 'https://10.1.1.1:6443'}}]"
    with make_store() as store:
        store.put_secret("cluster/berlin/kubeconfig", kept.encode())
    ran = cto("cluster", "kubeconfig", "berlin", "--stdout")
    assert ran.out == kept
    assert "endpoint: https://10.1.1.1:6443 (by the kubeconfig that is kept)" in ran.err
    assert "127.66.0.1" in cto("cluster", "kubeconfig", "berlin", "--hours", "1", "--stdout").out


def test_backup_restore_and_key(cto, fleet, tmp_path):
    assert cto("key", "export", "--out", "cto.key").code == 0
    assert stat.S_IMODE((tmp_path / "cto.key").stat().st_mode) == 0o600
    assert cto("key", "export").code == 2  # nobody to ask
    assert cto("store", "backup", "b.db").code == 0
    assert cto("store", "restore", "b.db").code == 2  # nobody to ask
    (tmp_path / "wrong.key").write_text("nonsense")
    before = cto("status").out
    assert cto("store", "restore", "b.db", "--key", "wrong.key", "--yes").code == 2
    assert cto("status").out == before
    ran = cto("store", "restore", "b.db", "--key", "cto.key", "--yes", "--output", "json")
    assert ran.code == 0
    assert ran.json["unread"]


def test_one_demo_at_a_time_in_one_home(cto, home):
    with only_demo(home / "demo"):
        for arguments in ((), ("--stop",)):
            busy = cto("demo", *arguments)
            assert busy.code == 3
            assert "another demo is running" in busy.err
    assert "no demo is running" in cto("demo", "--stop").out


def test_a_demo_is_found_from_its_own_home_too(home):
    """The demo tells people to set $CTO_HOME to its home, and to end it with `cto demo --stop` there."""
    assert demo_home(home) == home / "demo"
    assert demo_home(home / "demo") == home / "demo" / "demo"  # a home that somebody called so
    with only_demo(home / "demo"):
        assert demo_home(home / "demo") == home / "demo"


@pytest.mark.parametrize(
    ("number", "what"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the file system is read-only")]
)
def test_what_the_disk_says_is_no_bug_of_ours(number, what, capsys, home):
    error = OSError(number, "in the words of the system", str(home / "fleet.db"))
    assert report(error, App(home=home)) == 2
    said = capsys.readouterr().err
    assert f"{home / 'fleet.db'}: {what}" in said
    assert "bug" not in said


def test_a_file_without_an_end_is_refused(cto):
    ran = cto("validate", "-f", "/dev/zero")
    assert ran.code == 2
    assert "larger than" in ran.err


def test_nodes_that_are_gone_are_given_up_after_a_restore(cto, fleet):
    assert "nothing to resume" in cto("store", "resume").out
    cto("store", "backup", "b.db")
    unread = cto("store", "restore", "b.db", "--yes", "--output", "json").json["unread"]
    asked = cto("store", "resume")
    assert asked.code == 2
    assert all(name in asked.err for name in (*unread, "risks", "--reason"))
    assert cto("store", "resume", "--yes").code == 2  # the audit log wants to know why
    assert "no node 'nowhere'" in cto("store", "resume", "--without", "nowhere", "--yes").err
    reason = ("--yes", "--reason", "scrapped", "--output", "json")
    first = cto("store", "resume", "--without", unread[0], *reason).json
    assert first == {"given_up": unread[:1], "unread": unread[1:], "observe_only": True}
    assert cto("store", "resume", *reason).json == {
        "given_up": unread[1:],
        "unread": [],
        "observe_only": False,
    }
    assert cto("audit", "verify").code == 0


def test_a_key_export_is_audited_and_works_on_a_fresh_home(cto, make_store, tmp_path):
    assert cto("key", "export", "--out", "no-such-folder/cto.key").code == 2
    assert cto("key", "export", "--out", "cto.key").code == 0
    assert cto("key", "export", "--out", "cto.key").code == 2  # there is one already
    exported = [event for event in cto("events", "--output", "json").lines if event["kind"] == "KeyExported"]
    assert len(exported) == 1


def test_the_ssh_key_that_machines_let_in_is_printed(cto):
    shown = cto("key", "ssh")
    assert shown.out.startswith("ssh-ed25519 ")
    assert cto("key", "ssh", "--output", "json").json["public_key"] == shown.out.strip()


def test_a_backup_does_not_make_folders(cto, fleet, tmp_path):
    assert cto("store", "backup", "not-mounted/b.db").code == 2
    assert not (tmp_path / "not-mounted").exists()


def test_a_restore_without_the_key_changes_nothing(cto, fleet, tmp_path):
    assert cto("store", "backup", "b.db").code == 0
    elsewhere = {"CTO_HOME": str(tmp_path / "elsewhere")}
    ran = cto("--home", tmp_path / "elsewhere", "store", "restore", "b.db", "--yes", environ=elsewhere)
    assert ran.code == 2
    assert "--key" in ran.err
    assert not (tmp_path / "elsewhere" / "fleet.db").exists()


def test_a_closed_stdout_is_no_bug(home):
    script = f'exec >&-; exec "{sys.executable}" -c "from controller.cli.main import main; main()" status'
    done = subprocess.run(["/bin/sh", "-c", script], env={**os.environ, "CTO_HOME": str(home)}, check=False)
    assert done.returncode == 0


def test_audit_verify(cto, fleet):
    assert cto("audit", "verify").code == 0
    first = cto("audit", "verify", "--output", "json").json
    assert first["ok"] is True
    assert cto("window", "freeze", "--reason", "audit week").code == 0
    assert cto("audit", "verify", "--noted", first["head"]).code == 0
    other = cto("audit", "verify", "--noted", f"{first['rows']}:{'00' * 32}")
    assert (other.code, "differs from the one noted" in other.err) == (2, True)
    later = cto("audit", "verify", "--noted", f"{first['rows'] + 9} {'00' * 32}")
    assert (later.code, "were cut off" in later.err) == (2, True)
    assert "no row as it was noted" in cto("audit", "verify", "--noted", "yesterday").err


def test_the_audit_log_is_read_and_taken_away(cto, fleet, tmp_path):
    cto("window", "freeze", "--reason", "audit\x1b[31m week")
    shown = cto("audit", "list", "--search", "freeze")
    assert "freeze" in shown.out
    assert "\x1b[31m week" not in shown.out
    every = [json.loads(line) for line in cto("audit", "list", "--output", "json").out.splitlines()]
    assert [row["seq"] for row in every] == list(range(len(every), 0, -1))
    assert len(cto("audit", "list", "--limit", "2").out.splitlines()) == 2
    out = tmp_path / "rows.jsonl"
    assert cto("audit", "export", "--out", out).code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == every
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "such a file already" in cto("audit", "export", "--out", out).err


def test_the_support_bundle_holds_no_secret(cto, fleet, make_store, home, tmp_path):
    canaries = {
        "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "base64": "QUFBQkJCQ0NDREREQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0E9",
        "token": "abcdef.0123456789abcdef",
        "words": "KEY abandon ability able about above absent",
        "password": "correct-horse-battery",
        "address": "10.99.88.77",
    }
    text = (
        " ".join(canaries.values()) + "\n-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIcanary\n-----END"
    )
    with make_store() as store:
        store.put_secret("cluster/berlin/secrets", text.encode())
        store.set_problem("node/berlin-w-1", f"failed: {text}")
        store.event("StepFailed", "node/berlin-w-1", text, {"stderr": text, "step": "image"})
        store.save_facts("berlin-cp-1", {"facts": {"platform": {"serial": text}}, "problems": []}, "x")
    (home / "logs").mkdir()
    (home / "logs" / "error-1.log").write_text(
        f'Traceback\n  File "/home/ada/cto/web/app.py", line 3, in page\n    x = "{text}"\nValueError: {text}\n{text}\n'
    )
    ran = cto("support", "bundle", "--out", "s.tar.gz", "--yes")
    assert ran.code == 0, ran.err
    assert "events.json" in ran.out
    assert stat.S_IMODE((tmp_path / "s.tar.gz").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "s.tar.gz") as tar:
        held = {member.name: tar.extractfile(member).read().decode() for member in tar.getmembers()}
    everything = "\n".join(held.values())
    for name in ("hex", "base64", "token", "password", "address"):
        assert canaries[name] not in everything
        assert canaries[name][:12] not in everything
    assert "PRIVATE KEY" not in held["cto-support/logs/error-1.log"]
    assert "canary" not in everything
    assert "failed" in held["cto-support/nodes.json"]  # our own words stay
    assert "File cto/web/app.py, line 3, in page" in held["cto-support/logs/error-1.log"]
    assert "ValueError" in held["cto-support/logs/error-1.log"]
    assert "berlin-w-1" in held["cto-support/nodes.json"]
    for secret in (home / "key", home / "fleet.db"):
        assert secret.exists()


def test_the_support_bundle_asks_first(cto, fleet, tmp_path):
    assert cto("support", "bundle", "--out", "s.tar.gz").code == 2
    assert not (tmp_path / "s.tar.gz").exists()


def test_doctor_is_good_on_a_good_home(cto, fleet, home):
    ran = cto("doctor", "--output", "json")
    findings = {finding["check"]: finding for finding in ran.json["findings"]}
    assert findings["store"]["level"] == "good"
    assert findings["home"]["level"] == "good"
    assert findings["engine"]["level"] == "warn"  # the fixture's engine is gone, its run is not
    assert all(finding["fix"] for finding in ran.json["findings"] if finding["level"] != "good")


def test_doctor_finds_what_is_wrong(cto, fleet, home):
    (home / "key").chmod(0o644)
    ran = cto("doctor", "--output", "json", now=NOW - timedelta(days=2))
    bad = {finding["check"] for finding in ran.json["findings"] if finding["level"] == "bad"}
    assert bad == {"home", "clock"}
    assert ran.code == 2


def test_doctor_finds_a_damaged_store(cto, fleet, home):
    for end in ("-wal", "-shm"):
        (home / f"fleet.db{end}").unlink(missing_ok=True)
    size = (home / "fleet.db").stat().st_size
    with (home / "fleet.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))
    ran = cto("doctor", "--output", "json")
    assert ran.code == 2
    assert {f["check"]: f["level"] for f in ran.json["findings"]}["store"] == "bad"
    assert cto("status").code == 2
    assert cto("support", "bundle", "--yes").code == 0
