"""An order to a rollout, whoever gives it: by command, page or API. Who may approve is decided here.

Only leaves it in the store: the engine's next decision (`core.rollout.verbs`) obeys it, or refuses.
"""

from controller.app.second_person import eligible, person_of
from controller.app.services import Services
from inventory.errors import RefusedError

APPROVE, ALONE = "approve", "approve-alone"


def order(
    services: Services,
    rollout: str,
    verb: str,
    *,
    actor: str,
    reason: str,
    cluster: str = "",
    wave: int = -1,
) -> str:
    """Returns the verb as it was left: an approval by the only person there is counts after ten minutes."""
    if verb == APPROVE and person_of(actor) == person_of(services.store.rollout(rollout).actor):
        queries = services.queries
        if eligible(queries.rows, queries.sites(), queries.rollout_sites(rollout)) > 1:
            raise RefusedError(
                "whoever started a rollout can't approve its waves",
                where=f"rollout {rollout}",
                fix="let another person approve: on the rollout's page, or with cto rollout approve",
            )
        verb = ALONE
    services.store.order_rollout(rollout, verb, actor=actor, reason=reason, cluster=cluster, wave=wave)
    return verb
