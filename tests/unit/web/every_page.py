"""Which pages there are, from the application itself: a new one is tested in a browser without a line more."""

EXAMPLES = {  # of pages that are about one thing: its name in the fixtures
    "sites.one": ["/sites/berlin"],
    "clusters.one": ["/clusters/berlin"],
    "nodes.page": ["/nodes/berlin-cp-1", "/nodes/berlin-cp-2", "/nodes/berlin-w-1"],
    "nodes.facts": ["/nodes/berlin-cp-1/facts"],
    "rollouts.one": ["/rollouts/e9eba3b829d781c6", "/rollouts/e9eba3b829d781c6?cluster=porto"],
    "rollouts.confirm": ["/rollouts/e9eba3b829d781c6/order?verb=abort"],
    "updates.one": ["/updates/talos-1.13.9"],
}
MORE = [
    "/audit?check=yes",
    "/search?q=berlin",
    "/chosen?node=berlin-cp-1&node=berlin-w-1",
    "/nowhere",
    "/nodes/nobody",
]  # the same page, otherwise
NO_PAGE = {"static", "metrics"}
LOGGED_OUT = ["/login", "/enter"]


# What sticks out on the right, if the page scrolls sideways.
WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const inside = (node) => node.closest(".wide, .picture, pre, nav") && !node.matches(".wide, .picture, pre, nav");
  return [...document.querySelectorAll("body *")].filter((node) => !inside(node) && node.getBoundingClientRect().right > room)
    .map((node) => node.outerHTML.slice(0, 160)).slice(-3);
}"""


def pages(app):
    """The addresses of all pages for somebody who is logged in. Raises for one that has no example."""
    found = []
    for rule in app.url_map.iter_rules():
        if "GET" not in rule.methods or rule.endpoint.split(".")[-1] in NO_PAGE:
            continue
        if rule.rule.startswith("/api/") or rule.rule in LOGGED_OUT:
            continue
        if not rule.arguments:
            found.append(rule.rule)
        elif rule.endpoint in EXAMPLES:
            found += EXAMPLES[rule.endpoint]
        else:
            raise LookupError(f"{rule.endpoint} has no example in {__name__}")
    return sorted({*found, *MORE})


def name_of(path):
    """For a file: letters, digits and dashes."""
    return "".join(c if c.isalnum() else "-" for c in path.strip("/")) or "fleet"
