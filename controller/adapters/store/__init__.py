"""The fleet store: `StoreQueries` reads, `Store` writes.

Names are loaded when they are first asked for: `cto status` reads and must not pay for writing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_HOMES = {
    "AuditHead": "audit",
    "AuditReport": "audit",
    "Manifest": "backup",
    "Restored": "backup",
    "Store": "store",
    "StoreQueries": "queries",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'rows')}"), name)
