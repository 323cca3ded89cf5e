"""The fleet store: `StoreQueries` reads, `Store` writes; `Home` says where, `EngineLock` who acts.

It lies below the use cases, which use it directly: there is one store, and no port in front of it.

Names are loaded when they are first asked for: `cto status` reads and must not pay for writing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.store.audit import AuditHead, AuditReport
    from controller.store.backup import Manifest, Restored
    from controller.store.home import Home
    from controller.store.lock import EngineLock
    from controller.store.queries import StoreQueries
    from controller.store.rows import (
        ClusterRow,
        Declared,
        Kind,
        NodeRow,
        Outcome,
        RunRow,
        SecretInfo,
        Step,
        StepRef,
    )
    from controller.store.store import Store

__all__ = [
    "AuditHead",
    "AuditReport",
    "ClusterRow",
    "Declared",
    "EngineLock",
    "Home",
    "Kind",
    "Manifest",
    "NodeRow",
    "Outcome",
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
    "EngineLock": "lock",
    "Home": "home",
    "Manifest": "backup",
    "Restored": "backup",
    "Store": "store",
    "StoreQueries": "queries",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'rows')}"), name)
