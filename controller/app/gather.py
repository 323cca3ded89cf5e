"""Shim until the move."""

from controller.adapters.gather import *  # noqa: F403
from controller.adapters.gather import gather as gather
from controller.adapters.gather import gather_one as gather_one
