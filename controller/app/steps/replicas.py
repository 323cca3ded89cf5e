"""Step `raise-replicas`: Longhorn keeps as many replicas as the nodes can hold now. Lowers nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.app.context import ClusterJob, Limits
from controller.app.steps.base import Record
from controller.app.upgrade.reach import Reach
from controller.core import replicas
from controller.core.replicas import Patch

STEP = "raise-replicas"


class RaiseReplicas:
    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {"changes": [patch.told for patch in await _patches(job)]}

    async def act(self, job: ClusterJob) -> Record:
        kube, reach, subject = job.services.kube, _reach(job), f"cluster/{job.cluster.name}"
        for patch in await _patches(job):
            await reach.kube(
                lambda config, host, port, patch=patch: kube.patch_object(  # type: ignore[misc]
                    config, patch.path, patch.body, host=host, port=port
                )
            )
            job.services.store.event("ReplicasRaised", subject, f"Longhorn: {patch.told}")
        for name in await _left(job):
            text = f"StorageClass {name} asks for fewer replicas, and can't be changed: make it anew"
            job.services.store.event("ReplicasLeft", subject, text)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        return None if await _patches(job) else {}


async def due(job: ClusterJob) -> bool:
    """Does a Longhorn keep fewer replicas than it could, or did an attempt to raise them not come to its end?
    Only asked where a site file wants Longhorn.
    """
    if not any(member.node.settings.get("longhorn") for member in job.members):
        return False
    steps = [s for s in job.services.store.steps(f"cluster/{job.cluster.name}") if s.ref.step == STEP]
    begun = bool(steps) and steps[-1].outcome != "done"
    return begun or bool(await _patches(job))


async def _patches(job: ClusterJob) -> list[Patch]:
    setting = await _get(job, replicas.SETTING)
    if setting is None:
        return []  # it is not installed (yet)
    count = replicas.wanted(await _list(job, replicas.NODES))
    source = await _get(job, replicas.CLASS_SOURCE)
    found = [replicas.setting_patch(setting, count), replicas.class_patch(source or {}, count)]
    volumes = replicas.volume_patches(await _list(job, replicas.VOLUMES), count)
    return [patch for patch in found if patch is not None] + volumes


async def _left(job: ClusterJob) -> Sequence[str]:
    count = replicas.wanted(await _list(job, replicas.NODES))
    return replicas.left_behind(await _list(job, replicas.CLASSES), count)


def _reach(job: ClusterJob) -> Reach:
    return Reach(job.services, job.cluster.name, Limits.default())


async def _get(job: ClusterJob, path: str) -> Mapping[str, Any] | None:
    kube = job.services.kube
    return await _reach(job).kube(
        lambda config, host, port: kube.get_object(config, path, host=host, port=port)
    )


async def _list(job: ClusterJob, path: str) -> Sequence[Mapping[str, Any]]:
    kube = job.services.kube
    found = await _reach(job).kube(
        lambda config, host, port: kube.list_objects(config, path, host=host, port=port)
    )
    return found or ()
