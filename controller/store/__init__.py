"""Shim until the move."""
from controller.adapters.home import Home as Home
from controller.adapters.lock import EngineLock as EngineLock
from controller.adapters.store import *  # noqa: F403
from controller.adapters.store.store import Store as Store
from controller.adapters.store.queries import StoreQueries as StoreQueries
from controller.adapters.store.rows import *  # noqa: F403
