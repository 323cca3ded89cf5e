"""Whether what a cluster says of Cilium and Argo CD can be carried out. Finds problems; changes nothing."""

from collections.abc import Iterator

from inventory.effective import Effective
from inventory.findings import Finding


def platform(effective: Effective) -> Iterator[Finding]:
    for name, tree in effective.clusters.items():
        for part, example in (("cilium", "1.18.2"), ("argocd", "3.1.8")):
            said = tree.get(part)
            if part == "cilium" and tree["cni"] == "cilium" and said is None:
                fix = (
                    f"write `cilium: {{version: {example}}}`, or `cilium: {{manifest: /path/to/cilium.yaml}}`"
                )
                yield Finding("clusters", name, ("cni",), f"cluster {name} has no Cilium version", fix)
            elif said is not None and ("version" in said) == ("manifest" in said):
                what = (
                    "both a version and a manifest" if "version" in said else "neither version nor manifest"
                )
                fix = f"write `{part}: {{version: {example}}}` or a manifest; `null` removes an inherited one"
                yield Finding("clusters", name, (part,), f"{part} of cluster {name} names {what}", fix)
            if part == "cilium" and said is not None and tree["cni"] != "cilium":
                what = f"cluster {name} says which Cilium, but its pod network is {tree['cni']}"
                fix = "write `cni: cilium`, or remove `cilium`"
                yield Finding("clusters", name, ("cilium",), what, fix, warning=True)
