"""The recorded configuration of a node, when a rollout changes the one it runs with. Delivers nothing."""

import hashlib
from collections.abc import Callable

from controller.app.upgrade.reach import Reach


def keep_changed(reach: Reach, name: str, change: Callable[[str], str]) -> None:
    """Makes the same change to what is sealed in the store. An adopted node has nothing there."""
    store, secret = reach.services.store, f"node/{name}/config"
    if not store.has_secret(secret):
        return
    before = store.get_secret(secret)
    after = change(before.decode()).encode()
    if after != before and store.note_config(name, _digest(before), _digest(after)):
        store.put_secret(secret, after)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
