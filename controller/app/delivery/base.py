"""The contract of a way of delivery. Holds none."""

from typing import Protocol

from controller.app.context import NodeJob
from roles.installer import InstallLayout


class Delivery(Protocol):
    @property
    def tools(self) -> tuple[str, ...]:
        """Programs that the bootstrap environment must have for it."""
        ...

    @property
    def drops(self) -> bool:
        """Whether it leaves a partition behind that has to be wiped and dropped once the node is up."""
        ...

    @property
    def span(self) -> int:
        """How many bytes, from 2 MiB before the image's end on, may hold keys after `put`."""
        ...

    async def put(self, job: NodeJob, layout: InstallLayout) -> None:
        """Puts the configuration on the disk, which has no boot sector yet. Repeatable."""
        ...

    async def holds(self, job: NodeJob, layout: InstallLayout) -> bool:
        """Whether a fresh read shows that it is there, whole."""
        ...

    async def while_silent(self, job: NodeJob) -> None:
        """The node was told to boot, and does not answer with the cluster's certificates yet."""
        ...
