"""Keeps what is delivered to a node. Delivers nothing."""

from controller.app.context import NodeJob


def keep_delivered(job: NodeJob) -> None:
    """Sealed in the store, so that the next plan can show what differs."""
    job.services.store.put_secret(f"node/{job.node.name}/config", job.want().config.text.encode())
