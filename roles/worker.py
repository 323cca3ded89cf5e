"""Worker: runs workloads, holds no cluster state. Figures from Talos's system requirements; decides
nothing itself.
"""

from roles.spec import ALL_CHECKS, COMMON_SETTINGS, GIB, NEEDED_FACTS, Need, RoleSpec

SPEC = RoleSpec(
    slug="worker",
    title="Worker",
    talos_type="worker",
    runs_workloads=True,
    cores=Need(1, 2),
    memory=Need(1 * GIB, 2 * GIB),
    disk=Need(10 * GIB, 100 * GIB),
    facts=NEEDED_FACTS,
    checks=ALL_CHECKS,
    settings=COMMON_SETTINGS,
)
