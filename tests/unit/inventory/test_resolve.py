"""From documents to the fleet: inheritance, templates, explanations, warnings."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.errors import OperatorError, SiteFileError
from inventory.resolve import load_files

EXAMPLES = Path(__file__).parents[3] / "examples"
TABLE = yaml.safe_load((Path(__file__).parents[2] / "fixtures/sites/broken.yaml").read_text(encoding="utf-8"))
PARTS = TABLE["parts"]


def load(*parts, **files):
    return load_files({"site.yaml": "\n---\n".join(parts), **files})


def example(name):
    path = EXAMPLES / name
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return load_files({file.name: file.read_text(encoding="utf-8") for file in files})


@pytest.mark.parametrize(
    ("name", "sites", "nodes"), [("appliance.yaml", 1, 1), ("ha-site.yaml", 1, 4), ("forty-sites", 40, 163)]
)
def test_examples_resolve_without_a_warning(name, sites, nodes):
    resolved = example(name)
    assert (len(resolved.fleet.sites), len(resolved.fleet.nodes)) == (sites, nodes)
    assert resolved.warnings == ()


def test_forty_sites_are_fewer_than_two_hundred_lines():
    files = (EXAMPLES / "forty-sites").glob("*.yaml")
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) < 200


def test_effective_is_plain_and_complete():
    effective = example("ha-site.yaml").effective()
    assert json.loads(json.dumps(effective)) == effective
    assert yaml.safe_load(yaml.safe_dump(effective)) == effective
    assert effective["maintenanceWindows"]["weekend-nights"] == {
        "sites": ["berlin"],
        "days": ["Fri", "Sat", "Sun"],
        "start": "23:00",
        "minutes": 360,
        "end": "05:00",
    }


def test_windows_blackouts_and_policies_name_their_sites():
    resolved = example("ha-site.yaml")
    (window,), (blackout,), (policy,) = resolved.windows, resolved.blackouts, resolved.policies
    assert (window.sites, window.minutes, window.timezone) == (("berlin",), 360, "")
    assert (blackout.start, blackout.end, blackout.hard) == ("12-24", "01-01", False)
    assert (policy.waves_percent, policy.bake_minutes, policy.approval) == (
        (1, 5, 25, 100),
        (1440, 240),
        "first-wave",
    )


@pytest.mark.parametrize(
    ("start", "end", "minutes"), [("02:00", "02:00", 1440), ("23:00", "01:30", 150), ("02:00", "02:01", 1)]
)
def test_an_end_not_after_the_start_is_on_the_next_day(start, end, minutes):
    text = f"apiVersion: fleet/v1\nkind: MaintenanceWindow\nmetadata: {{name: w}}\nspec: {{days: [Sat], start: '{start}', end: '{end}'}}"
    assert load(PARTS["SITE"], PARTS["CLUSTER"], text).windows[0].minutes == minutes


def test_the_fleet_holds_what_the_files_say():
    fleet = example("ha-site.yaml").fleet
    worker = fleet.nodes["berlin-worker-1"]
    assert (fleet.organization, worker.site, worker.cluster, worker.role) == (
        "acme",
        "berlin",
        "berlin",
        "worker",
    )
    assert (worker.address, worker.ssh_port, worker.jump) == (
        "10.20.0.21",
        22,
        "ops@bastion.berlin.example.com",
    )
    assert (worker.image.talos, worker.disk.serial, worker.disk.wipe) == ("1.13.9", "S4EWNX0R712345", False)
    assert worker.settings == {
        "timeServers": ["ntp1.example.com", "ntp2.example.com"],
        "nameservers": ["10.20.0.53"],
        "sysctls": {"vm.max_map_count": "262144"},
        "nodeLabels": {"node.longhorn.io/create-default-disk": "true"},
        "longhorn": True,
    }
    assert worker.labels == {"region": "eu"}
    assert fleet.clusters["berlin"].nodes == ("berlin-cp-1", "berlin-cp-2", "berlin-cp-3", "berlin-worker-1")
    assert "sysctls" not in fleet.nodes["berlin-cp-1"].settings


def test_one_control_plane_gives_the_endpoint_and_takes_workloads():
    cluster = load(PARTS["SITE"], PARTS["CLUSTER"]).fleet.clusters["berlin"]
    assert cluster.endpoint == "https://10.0.0.11:6443"
    assert cluster.allow_scheduling_on_control_planes
    six = PARTS["CLUSTER"].replace("10.0.0.11", '"fd00::11"')
    assert load(PARTS["SITE"], six).fleet.clusters["berlin"].endpoint == "https://[fd00::11]:6443"


ORDER = """
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec:
  clusterDefaults: {kubernetes: 1.36.3}
  defaults: {image: {talos: 1.13.9}, sshPort: 1, patches: [{from: organization}]}
  roles: {appliance: {patches: [{from: role}], nodeClass: big}}
---
apiVersion: fleet/v1
kind: SiteTemplate
metadata: {name: shop}
spec:
  parameters: {octet: {type: number, default: 7}}
  defaults: {sshPort: 2, patches: [{from: template}]}
  clusters:
    - name: ${site.name}
      defaults: {sshPort: 4}
      nodes:
        - {name: "${site.name}-1", role: appliance, address: "10.0.${octet}.1", patches: [{from: node}]}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: a, labels: {tier: gold}}
spec:
  template: shop
  timezone: UTC
  defaults: {sshPort: 3, patches: [{from: site}]}
  nodes: {a-1: {sshPort: 6}}
---
apiVersion: fleet/v1
kind: NodeClass
metadata: {name: big}
spec: {sshPort: 5, patches: [{from: class}]}
"""


def test_layers_apply_from_wide_to_narrow():
    resolved = load(ORDER)
    node = resolved.fleet.nodes["a-1"]
    assert [patch["from"] for patch in node.patches] == [
        "organization",
        "template",
        "site",
        "role",
        "class",
        "node",
    ]
    assert (node.ssh_port, node.node_class, node.labels) == (6, "big", {"tier": "gold"})
    layers = [(origin.layer, origin.value) for origin in resolved.explain("nodes/a-1/sshPort")]
    assert layers == [
        ("built-in default", 22),
        ("organization acme", 1),
        ("template shop", 2),
        ("site a", 3),
        ("cluster a", 4),
        ("class big", 5),
        ("node a-1 at site a", 6),
    ]


def test_explain_gives_file_and_line_also_into_a_template():
    resolved = load(ORDER)
    (origin,) = resolved.explain("nodes/a-1/address")
    assert (origin.value, origin.file, origin.line) == ("10.0.7.1", "site.yaml", 20)
    assert resolved.explain("clusters/a/kubernetes")[-1].layer == "organization acme"
    assert resolved.explain("clusters/a/endpoint")[-1].layer == "derived from its nodes"
    assert resolved.explain("sites/a/timezone")[-1].line == 27


def leaves(tree, before=""):
    for key, value in tree.items():
        yield from (
            leaves(value, f"{before}{key}.") if isinstance(value, dict) and value else [(before + key, value)]
        )


@pytest.mark.parametrize("name", ["appliance.yaml", "ha-site.yaml", "forty-sites"])
def test_the_last_layer_that_explain_names_said_what_holds(name):
    resolved = example(name)
    effective = resolved.effective()
    for group in ("sites", "clusters", "nodes"):
        for one, tree in effective[group].items():
            for path, value in leaves(tree):
                *_, last = resolved.explain(f"{group}/{one}/{path}")
                assert value in ({}, last.value) or value == str(last.value), (group, one, path)


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("x", "nodes/"),
        ("nodes/a-2/sshPort", "`a-1`"),
        ("nodes/a-1/sshprt", "sshPort"),
        ("nodes/a-1/image.taloss", "image.talos"),
    ],
)
def test_explain_helps_with_paths_that_do_not_exist(path, fix):
    with pytest.raises(OperatorError) as caught:
        load(ORDER).explain(path)
    assert fix in caught.value.fix


def test_null_removes_what_is_inherited():
    removed = ORDER.replace("nodes: {a-1: {sshPort: 6}}", "nodes: {a-1: {nodeClass: null, sshPort: null}}")
    node = load(removed.replace("kind: NodeClass", "kind: NodeClass # unused now")).fleet
    assert node.nodes["a-1"].node_class == ""


def test_one_mistake_in_a_template_is_told_once_for_all_its_sites():
    sites = [
        f"apiVersion: fleet/v1\nkind: Site\nmetadata: {{name: s{n}}}\nspec: {{timezone: UTC, template: shop, parameters: {{octet: {300 + n}}}}}"
        for n in range(5)
    ]
    with pytest.raises(SiteFileError) as caught:
        load(PARTS["TEMPLATE"], *sites)
    (problem,) = caught.value.problems
    assert "site s0" in problem.what
    assert "4 more like it" in problem.what


@pytest.mark.parametrize(
    ("documents", "what"),
    [
        ([PARTS["SITE"]], "site berlin has no cluster"),
        ([PARTS["SITE"], PARTS["CLUSTER"], PARTS["TEMPLATE"]], "no site uses template shop"),
        (
            [
                PARTS["SITE"],
                PARTS["CLUSTER"],
                "apiVersion: fleet/v1\nkind: NodeClass\nmetadata: {name: big}\nspec: {}",
            ],
            "no node is of class big",
        ),
        (
            [
                PARTS["SITE"],
                PARTS["CLUSTER"].replace(
                    "image: {talos: 1.13.9}", "image: {talos: 1.13.9}, disk: {wipe: true}"
                ),
            ],
            "allows data to be overwritten",
        ),
        (
            [
                PARTS["SITE"],
                PARTS["CLUSTER"].replace(
                    "talos: 1.13.9", f"talos: 1.13.9, schematic: {'a' * 64}, extensions: [a/b]"
                ),
            ],
            "extensions are not used",
        ),
        (
            [
                PARTS["SITE"],
                PARTS["CLUSTER"].replace("defaults: {", "defaults: {delivery: {trustSegment: true}, "),
            ],
            "trustSegment means nothing",
        ),
    ],
)
def test_what_is_odd_but_possible_is_a_warning(documents, what):
    (warning,) = load(*documents).warnings
    assert what in warning.what
    assert warning.fix


def cluster_of(count, site="berlin", name="big", network="10.9"):
    nodes = "".join(
        f"    - {{name: {name}-{n}, role: controlplane, address: {network}.0.{n}}}\n"
        for n in range(1, count + 1)
    )
    return (
        f"apiVersion: fleet/v1\nkind: Cluster\nmetadata: {{name: {name}}}\nspec:\n  site: {site}\n  kubernetes: 1.36.3\n"
        f"  endpoint: https://{name}.example.com:6443\n  defaults: {{image: {{talos: 1.13.9}}}}\n  nodes:\n{nodes}"
    )


@pytest.mark.parametrize(("count", "warnings"), [(1, 0), (3, 0), (4, 1), (5, 0), (6, 1), (7, 0), (9, 1)])
def test_control_planes_in_even_or_great_number_are_a_warning(count, warnings):
    assert len(load(PARTS["SITE"], cluster_of(count)).warnings) == warnings


def test_the_same_address_at_two_sites_is_a_warning_and_fine_behind_two_jump_hosts():
    other = PARTS["SITE"].replace("berlin", "hamburg", 1)
    clusters = (cluster_of(1), cluster_of(1, site="hamburg", name="north"))
    assert "same address" in load(PARTS["SITE"], other, *clusters).warnings[0].what
    behind = PARTS["SITE"].replace("Berlin}", "Berlin, defaults: {jump: ops@gate}}")
    assert load(behind, other, *clusters).warnings == ()


def test_one_gate_may_forward_a_port_to_each_machine():
    nodes = "\n".join(
        f"    - {{name: b-{n}, role: {role}, address: gate.example.com, sshPort: {2200 + n}, talosAddress: 10.9.0.{n}}}"
        for n, role in ((1, "controlplane"), (2, "worker"))
    )
    cluster = PARTS["CLUSTER"].replace("    - {name: berlin-1, role: appliance, address: 10.0.0.11}", nodes)
    assert load(PARTS["SITE"], cluster).fleet.clusters["berlin"].endpoint == "https://10.9.0.1:6443"
    with pytest.raises(SiteFileError, match="b-1 and b-2 have the same address"):
        load(PARTS["SITE"], cluster.replace("10.9.0.2", "10.9.0.1"))


def test_two_spellings_of_an_address_are_one_address():
    cluster = cluster_of(1).replace("10.9.0.1", '"fd00:0:0::1"')
    other = cluster_of(1, name="north").replace("10.9.0.1", '"fd00::1"')
    with pytest.raises(SiteFileError, match="big-1 and north-1 have the same address fd00::1"):
        load(PARTS["SITE"], cluster, other)


def test_a_node_document_joins_a_cluster_that_a_template_made():
    extra = "apiVersion: fleet/v1\nkind: Node\nmetadata: {name: extra, labels: {rack: r1}}\nspec: {cluster: a, role: worker}"
    fleet = load(
        ORDER.replace("role: appliance", "role: controlplane").replace("{appliance:", "{controlplane:"), extra
    ).fleet
    assert fleet.clusters["a"].nodes == ("a-1", "extra")
    assert fleet.nodes["extra"].labels == {"tier": "gold", "rack": "r1"}


def test_problems_of_all_files_come_together_in_order():
    with pytest.raises(SiteFileError) as caught:
        load_files({"b.yaml": "kind: Site", "a.yaml": "x: &a 1\ny: *a"})
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("a.yaml", 1),
        ("a.yaml", 2),
        ("b.yaml", 1),
    ]


def test_patches_may_hold_null_and_any_key():
    patched = PARTS["CLUSTER"].replace(
        "defaults: {", "defaults: {patches: [{machine: {env: null, 'a b': [1, null]}}], "
    )
    assert load(PARTS["SITE"], patched).fleet.nodes["berlin-1"].patches == (
        {"machine": {"env": None, "a b": [1, None]}},
    )


WHOLE = [yaml.safe_load(text) for text in ORDER.split("---")] + [
    yaml.safe_load(PARTS["SITE"]),
    yaml.safe_load(PARTS["CLUSTER"]),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just(["${x}"]),
    st.just({"a": None}),
)


def places(tree, path=()):
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def outcome(*documents):
    try:
        return (), load(*documents)
    except SiteFileError as error:
        return error.problems, None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage_to_a_fleet_is_refused_or_harmless(data):
    documents = json.loads(json.dumps(WHOLE))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(sorted(places(documents), key=repr)[1:]))
        target = documents
        try:
            for key in parents:
                target = target[key]
            target[last] = json.loads(json.dumps(data.draw(JUNK)))  # a copy of its own
        except (KeyError, TypeError, IndexError):
            continue  # an earlier draw removed this place
    problems, resolved = outcome(*(json.dumps(document) for document in documents))
    assert all(problem.line and problem.what and problem.fix for problem in problems)
    assert resolved is None or json.dumps(resolved.effective())
