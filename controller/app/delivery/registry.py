"""Which code delivers in which way: the only list. A test holds it against the words of site files."""

from collections.abc import Mapping

from controller.app.context import NodeJob
from controller.app.delivery.base import Delivery
from controller.app.delivery.maintenance import Maintenance
from controller.app.delivery.partition import Partition
from controller.app.delivery.state import State
from inventory.delivery import Method

DELIVERIES: Mapping[Method, Delivery] = {
    "metal-iso": Partition(),
    "state": State(),
    "maintenance-push": Maintenance(),
}


def delivery_of(job: NodeJob) -> Delivery:
    """The way that was begun, else the one that the site file asks for now."""
    return DELIVERIES[job.record.get("delivery", job.node.delivery.method)]


def tools_of(method: str) -> tuple[str, ...]:
    """Programs that a machine must have for that way; none for a plan that names no way."""
    return next((way.tools for name, way in DELIVERIES.items() if name == method), ())
