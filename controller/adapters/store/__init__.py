"""The fleet store. `StoreQueries` reads, `Store` writes; both are light to import."""

from controller.adapters.store.audit import AuditHead, AuditReport
from controller.adapters.store.backup import Manifest, Restored
from controller.adapters.store.queries import StoreQueries
from controller.adapters.store.rows import (
    ClusterRow,
    Declared,
    NodeRow,
    RunRow,
    SecretInfo,
    Step,
    StepRef,
)
from controller.adapters.store.store import Store

__all__ = [
    "AuditHead",
    "AuditReport",
    "ClusterRow",
    "Declared",
    "Manifest",
    "NodeRow",
    "Restored",
    "RunRow",
    "SecretInfo",
    "Step",
    "StepRef",
    "Store",
    "StoreQueries",
]
