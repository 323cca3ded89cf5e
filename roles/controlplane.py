"""Control plane: etcd and the Kubernetes API. Figures from Talos's system requirements; decides nothing
itself.
"""

from roles.spec import ALL_CHECKS, COMMON_SETTINGS, GIB, NEEDED_FACTS, Need, RoleSpec

SPEC = RoleSpec(
    slug="controlplane",
    title="Control plane",
    talos_type="controlplane",
    runs_workloads=False,
    cores=Need(2, 4),
    memory=Need(2 * GIB, 4 * GIB),
    disk=Need(10 * GIB, 100 * GIB),
    facts=NEEDED_FACTS,
    checks=ALL_CHECKS,
    settings=COMMON_SETTINGS,
)
