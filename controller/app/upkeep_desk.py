"""The Settings pages' `web.upkeep_port` over the store and the licence's rules. Reads only, and no secret."""

from collections.abc import Sequence

from controller.app import licensing
from controller.app.services import Services
from controller.app.writing import Writing
from controller.store.notifications import receiver
from web.upkeep_port import LicenseView, NotifierView


class UpkeepDesk:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def notifiers(self) -> Sequence[NotifierView]:
        rows = self._writing.run(lambda s: s.store.notifiers())
        return [
            NotifierView(
                name=row.name,
                kind=row.kind,
                receiver=receiver(row.settings),
                topics=row.topics,
                waiting=row.waiting,
                problem=row.problem,
                created_at=row.created_at,
            )
            for row in rows
        ]

    def license(self) -> LicenseView:
        return self._writing.run(_license)


def _license(services: Services) -> LicenseView:
    held = licensing.held(services)
    made, limits = held.license, held.allowance.limits
    return LicenseView(
        standing=held.allowance.standing.value,
        id=made.id if made else "",
        holder=made.holder if made else "",
        not_before=made.not_before.isoformat() if made else "",
        expires=made.expires.isoformat() if made else "",
        nodes=held.nodes,
        nodes_allowed=limits.nodes,
        clusters=held.clusters,
        clusters_allowed=limits.clusters,
        note=held.problem or held.allowance.note,
        controller=services.store.controller_id(),
    )
