"""What the parts of a fleet mean together: clusters that can work, addresses that are one machine's, versions
that fit. Finds problems and warnings in effective values; changes nothing.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from inventory import versions
from inventory.bootstrap import conflicts
from inventory.crosscheck_hardware import twins
from inventory.crosscheck_platform import platform
from inventory.declared import Problems
from inventory.delivery import FIRST_METAL_ISO
from inventory.effective import Effective
from inventory.errors import Problem
from inventory.findings import Finding
from inventory.values import ip_or_none

MANY_CONTROL_PLANES = 7  # etcd grows slower, not safer, with more members


def crosscheck(effective: Effective, problems: Problems, warnings: Problems) -> None:
    """Run every check and note what it finds at the file and line that set the value."""
    for check in CHECKS:
        for found in check(effective):
            stack = effective.stacks[found.group][found.name]
            origin = stack.where(found.path)
            shown = f"{found.group}/{found.name}" + (f"/{'.'.join(found.path)}" if found.path else "")
            problem = Problem(file=origin.file, line=origin.line, path=shown, what=found.what, fix=found.fix)
            (warnings if found.warning else problems).add([problem])


def _sites(effective: Effective) -> Iterator[Finding]:
    inhabited = {tree["site"] for tree in effective.clusters.values()}
    for name, tree in effective.sites.items():
        if not tree.get("timezone"):
            fix = "write `timezone: Europe/Berlin`, here or in the organization"
            yield Finding("sites", name, ("timezone",), f"site {name} has no time zone", fix)
        if name not in inhabited:
            fix = f"add a Cluster with `site: {name}`, or a template with clusters"
            yield Finding("sites", name, (), f"site {name} has no cluster", fix, warning=True)


def _members(effective: Effective) -> Iterator[Finding]:
    for name, members in effective.members.items():
        control_planes = effective.control_planes(name)
        appliances = [node for node in members if effective.nodes[node]["role"] == "appliance"]
        if not control_planes:
            fix = "give one node `role: controlplane`, or a single node `role: appliance`"
            yield Finding("clusters", name, ("nodes",), f"cluster {name} has no control plane", fix)
        elif appliances and len(members) > 1:
            what = f"cluster {name} has an appliance and other nodes; an appliance stands alone"
            fix = "write `role: controlplane` for it, or move the others to a cluster of their own"
            yield Finding("nodes", appliances[0], ("role",), what, fix)
        elif len(control_planes) == 2:
            what = f"cluster {name} has two control planes: if either fails, etcd stops"
            fix = "declare one or three, the other as `role: worker`"
            yield Finding("nodes", control_planes[1], ("role",), what, fix)
        elif len(control_planes) % 2 == 0 or len(control_planes) > MANY_CONTROL_PLANES:
            count = len(control_planes)
            what = (
                f"cluster {name} has {count} control planes; they survive no more failures than {count - 1}"
            )
            if count % 2:
                what = f"cluster {name} has {count} control planes; each write to etcd waits for most of them"
            fix = "use three or five"
            yield Finding("nodes", control_planes[-1], ("role",), what, fix, warning=True)


def _endpoints(effective: Effective) -> Iterator[Finding]:
    used: dict[str, str] = {}
    for name, tree in effective.clusters.items():
        endpoint = tree.get("endpoint")
        if endpoint is None and effective.control_planes(name):
            what = f"cluster {name} has several control planes and no endpoint"
            fix = (
                "write `endpoint: https://ADDRESS:6443` with a load balancer or a DNS name, or `vip: ADDRESS`"
            )
            if len(effective.control_planes(name)) == 1:
                what = f"cluster {name} has no endpoint, and its control plane no address to make one of"
                fix = "write the node's `address:`, or `endpoint: https://ADDRESS:6443`"
            yield Finding("clusters", name, ("endpoint",), what, fix)
        elif endpoint and _written(effective, name) and used.setdefault(endpoint, name) != name:
            what = f"clusters {used[endpoint]} and {name} have the same endpoint {endpoint}"
            yield Finding("clusters", name, ("endpoint",), what, "give each cluster an endpoint of its own")


def _versions(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.clusters.items():
        kubernetes = tree.get("kubernetes")
        talos = {node: effective.nodes[node]["image"].get("talos") for node in effective.members[name]}
        unset = [node for node, version in talos.items() if version is None]
        known = {version: node for node, version in talos.items() if version is not None}
        if unset:
            what = f"no Talos version for {', '.join(unset[:5])}" + (" and others" if len(unset) > 5 else "")
            fix = "write `image: {talos: 1.13.9}`, for all nodes at once in defaults"
            yield Finding("nodes", unset[0], ("image", "talos"), what, fix)
        if len(known) > 1:
            what = f"the nodes of cluster {name} have different Talos versions: {', '.join(sorted(known))}"
            yield Finding(
                "clusters",
                name,
                ("nodes",),
                what,
                "set one version, unless an update is under way",
                warning=True,
            )
        if kubernetes is None:
            fix = "write `kubernetes: 1.36.3`, in the cluster or in clusterDefaults"
            yield Finding("clusters", name, ("kubernetes",), f"cluster {name} has no Kubernetes version", fix)
            continue
        for version in known:
            if not versions.kubernetes_supported(version, kubernetes):
                what = f"Talos {version} does not run Kubernetes {kubernetes}"
                fix = f"with Talos {version}, use Kubernetes {versions.kubernetes_range(version)}"
                yield Finding("clusters", name, ("kubernetes",), what, fix)


def _networks(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.clusters.items():
        pods, services = (ipaddress.ip_network(tree[key]) for key in ("podCIDR", "serviceCIDR"))
        if pods.version == services.version and pods.overlaps(services):
            what = f"podCIDR {pods} and serviceCIDR {services} overlap"
            yield Finding("clusters", name, ("serviceCIDR",), what, "choose networks that share no address")
        for node in effective.members[name]:
            key = "talosAddress" if "talosAddress" in effective.nodes[node] else "address"
            address = ip_or_none(effective.nodes[node].get(key, ""))
            for network, what in ((pods, "podCIDR"), (services, "serviceCIDR")):
                if address is not None and address in network:
                    said = f"{key} {address} lies inside the cluster's {what} {network}"
                    fix = f"give cluster {name} a {what} that no machine's network is in"
                    yield Finding("nodes", node, (key,), said, fix)


def _addresses(effective: Effective) -> Iterator[Finding]:
    """One address, one machine. The same private address at two sites is fine behind two jump hosts, and so
    is one address with a port for each machine, as long as Talos has addresses of its own.
    """
    seen: dict[tuple[str, str, str, int], str] = {}
    for name, tree in effective.nodes.items():
        jump = tree.get("jump", "")
        ways = [("SSH", "address", tree["sshPort"]), ("Talos", "talosAddress", 0)]
        for use, key, port in ways:
            address = tree.get(key) or tree.get("address", "")
            first = seen.setdefault((use, jump, address, port), name) if address else name
            if first != name:
                yield _same_address(effective, first, name, address, key if key in tree else "address")
                break


def _same_address(effective: Effective, first: str, second: str, address: str, key: str) -> Finding:
    there, here = _site(effective, first), _site(effective, second)
    what = f"nodes {first} and {second} have the same address {address}"
    if here == there:
        return Finding("nodes", second, (key,), what, "give each its own")
    fix = f"if sites {there} and {here} use the same network, name a jump host for each"
    return Finding("nodes", second, (key,), what, fix, warning=True)


def _host_keys(effective: Effective) -> Iterator[Finding]:
    keys: dict[str, str] = {}
    for name, tree in effective.nodes.items():
        if "hostKey" in tree and keys.setdefault(tree["hostKey"], name) != name:
            what = f"nodes {keys[tree['hostKey']]} and {name} have the same host key"
            fix = "read each machine's own key; two machines never share one"
            yield Finding("nodes", name, ("hostKey",), what, fix)


def _images(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.nodes.items():
        image, delivery = tree["image"], tree["delivery"]
        if image.get("url", "").startswith("http://") and "sha256" not in image:
            what, fix = "an image over plain http has no sha256", "add `sha256:` of the file, or use https"
            yield Finding("nodes", name, ("image", "url"), what, fix)
        if "schematic" in image and image.get("extensions"):
            what = "the image has a schematic, so its extensions are not used"
            fix = "remove one of them; null removes what is inherited"
            yield Finding("nodes", name, ("image", "schematic"), what, fix, warning=True)
        talos = image.get("talos")
        if delivery["method"] == "metal-iso" and talos and versions.minor(talos) < FIRST_METAL_ISO:
            what = f"Talos {talos} cannot drop the partition that delivery by metal-iso needs"
            fix = "use Talos 1.10 or later, or leave `delivery.method` at auto, which takes STATE there"
            yield Finding("nodes", name, ("image", "talos"), what, fix)
        if delivery["trustSegment"] and delivery["method"] != "maintenance-push":
            what = f"trustSegment means nothing with method {delivery['method']}"
            fix = "remove it"
            yield Finding("nodes", name, ("delivery", "trustSegment"), what, fix, warning=True)


def _wipes(effective: Effective) -> Iterator[Finding]:
    """Permission to destroy data belongs beside the machine that it is about."""
    told: set[tuple[str, int]] = set()
    for name, tree in effective.nodes.items():
        origin = effective.stacks["nodes"][name].where(("disk", "wipe"))
        at = (origin.file, origin.line)
        if tree["disk"]["wipe"] and not origin.layer.startswith("node ") and at not in told:
            told.add(at)
            what = f"{origin.layer} allows data to be overwritten on every machine it covers"
            fix = "write `disk: {wipe: true}` on each node that may lose its data"
            yield Finding("nodes", name, ("disk", "wipe"), what, fix, warning=True)


def _settings(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.nodes.items():
        settings = tree.get("settings", {})
        if settings.get("timeDisabled") and settings.get("timeServers"):
            what, fix = "time servers are given, but timeDisabled is true", "remove one of the two"
            yield Finding("nodes", name, ("settings", "timeDisabled"), what, fix)


def _interfaces(effective: Effective) -> Iterator[Finding]:
    path = ("settings", "network")
    for name, tree in effective.nodes.items():
        declared = _declared(tree)
        names = [item["name"] for item in declared]
        members = [member for item in declared for member in item.get("bond", ())]
        for twice in sorted({n for n in (*names, *members) if (names + members).count(n) > 1}):
            fix = "declare each interface once; a bond's member carries nothing of its own"
            yield Finding("nodes", name, path, f"interface {twice} is declared twice", fix)
        vlans = {item["name"] for item in declared if item.get("vlan")}
        for item in declared:
            if item.get("vlan") and item.get("parent", item["name"].rpartition(".")[0]) in vlans:
                fix = "give it a parent that is an interface or a bond"
                yield Finding("nodes", name, path, f"VLAN {item['name']} stands on another VLAN", fix)
        static = {address.partition("/")[0] for item in declared for address in item.get("addresses", ())}
        dhcp = any(_by_dhcp(item) for item in declared) or not declared
        key = "talosAddress" if "talosAddress" in tree else "address"
        if not dhcp and not static:
            fix = "give one interface addresses, or remove dhcp: false"
            yield Finding("nodes", name, path, f"no interface of {name} has an address", fix)
        elif not dhcp and ip_or_none(tree.get(key, "")) and tree[key] not in static:
            what = f"Talos is to answer at {tree[key]}, but {name} will only have {', '.join(sorted(static))}"
            fix = "write that address as talosAddress, or give the interface this one"
            yield Finding("nodes", name, (key,), what, fix)


def _shared_addresses(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.clusters.items():
        for node in effective.control_planes(name) if tree.get("vip") else ():
            own = effective.nodes[node]
            if tree["vip"] in (own.get("address"), own.get("talosAddress")):
                fix = "choose an address of the same network that no machine has"
                yield Finding("clusters", name, ("vip",), f"vip {tree['vip']} is the address of {node}", fix)
            if not any(_by_dhcp(item) or item.get("addresses") for item in _declared(own)):
                what = f"nothing says which interface of {node} is to hold the vip {tree['vip']}"
                fix = "declare it, such as `settings: {network: {interfaces: [{name: enp1s0}]}}`"
                yield Finding("clusters", name, ("vip",), what, fix)


def _declared(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without those that only say which card a bond's member is."""
    found = node.get("settings", {}).get("network", {}).get("interfaces", [])
    items = [item for item in found if isinstance(item, dict)]
    members = {member for item in items for member in item.get("bond", ())}
    return [item for item in items if item["name"] not in members or item.keys() != {"name", "match"}]


def _by_dhcp(item: Mapping[str, Any]) -> bool:
    return bool(item.get("dhcp", not item.get("addresses")))


def _written(effective: Effective, cluster: str) -> bool:
    """Does a file say the endpoint? Derived ones are equal only if addresses are, which is told already."""
    return bool(effective.stacks["clusters"][cluster].explain(("endpoint",))[-1].line)


def _site(effective: Effective, node: str) -> str:
    return str(effective.clusters[effective.nodes[node]["cluster"]]["site"])


CHECKS: tuple[Callable[[Effective], Iterator[Finding]], ...] = (
    _sites,
    _members,
    _endpoints,
    _versions,
    _networks,
    _addresses,
    _host_keys,
    _images,
    _wipes,
    _settings,
    _interfaces,
    _shared_addresses,
    platform,
    lambda effective: conflicts(effective.nodes),
    lambda effective: twins(effective.nodes),
)
