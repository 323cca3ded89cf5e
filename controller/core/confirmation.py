"""What a look at a machine makes of its plan: confirmed, unconfirmed, or refused. Looks at nothing itself."""

from dataclasses import replace

from controller.core.plan import Change, NodePlan, Refusal

CONFIRMED = "confirmed"


def unconfirmed(reason: str) -> str:
    """The `confirmation` of a node whose machine could not be looked at."""
    return f"unconfirmed: {reason}"


def refused(node: NodePlan, *refusals: Refusal) -> NodePlan:
    """`node` with nothing to be done to it, and why."""
    return replace(
        node,
        change=Change.REFUSED,
        steps=(),
        disk=None,
        refusals=(*node.refusals, *refusals),
        confirmation="",
    )
