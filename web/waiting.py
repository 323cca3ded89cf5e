"""Rollouts and machines that go on only when somebody does something. Reads only; one source for pages, API,
metrics and terminal.
"""

from collections.abc import Sequence

from inventory.wording import count
from web.ports import Queries, RolloutView
from web.present import Need


def waiting(queries: Queries) -> list[Need]:
    """Machines to be let in, then rollouts, the youngest first."""
    return [*_joining(queries), *_rollouts([each for each in queries.rollouts() if not each.over])]


def _joining(queries: Queries) -> list[Need]:
    """Machines that wait for somebody to compare words."""
    asking = queries.enrollments(("pending",))
    if not asking:
        return []
    sites = ", ".join(sorted({each.site for each in asking}))
    return [
        Need("pending", f"{count(len(asking), 'machine')} to be let in at {sites}\n→ cto enroll list", "warn")
    ]


def _rollouts(under_way: Sequence[RolloutView]) -> list[Need]:
    found = []
    for each in under_way:
        subject, why = f"rollout/{each.id}", str(each.summary.get("why", ""))
        if each.status == "stopped":
            found.append(Need(subject, f"it has stopped: {why or 'see why'}\n→ cto rollout status {each.id}"))
        elif each.status == "paused":
            fix = f"→ cto rollout resume {each.id} --reason '…'"
            found.append(Need(subject, f"it is paused: {why or each.reason}\n{fix}", "warn"))
        for wave in each.summary.get("waves", ()):
            if wave["state"] == "approval":
                fix = f"→ cto rollout approve {each.id} --wave {wave['number']} --reason '…'"
                found.append(Need(subject, f"wave {wave['number']} waits for approval\n{fix}", "warn"))
        found += [Need(subject, f"{hand['node']}: {hand['do']}") for hand in each.summary.get("hands", ())]
    return found
