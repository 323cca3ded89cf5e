"""Appliance: a whole cluster on one machine, control plane and workloads together. Decides nothing itself.

It needs what a control plane and a worker need together. It never gets the label that keeps load balancers
away from control planes: there is no other node they could send traffic to.
"""

from roles.spec import ALL_CHECKS, COMMON_SETTINGS, GIB, NEEDED_FACTS, Need, RoleSpec

SPEC = RoleSpec(
    slug="appliance",
    title="Appliance",
    talos_type="controlplane",
    runs_workloads=True,
    cores=Need(2, 4),
    memory=Need(3 * GIB, 8 * GIB),
    disk=Need(20 * GIB, 200 * GIB),
    facts=NEEDED_FACTS,
    checks=ALL_CHECKS,
    settings=COMMON_SETTINGS,
)
