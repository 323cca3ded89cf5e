"""Imports asyncssh without what costs much and is of no use here. Changes nothing of what we ask of it.

At import asyncssh looks for two shared libraries by `ctypes.util.find_library`, which asks the loader's
cache first and then gcc and ld. What only a compiler finds the loader would not, so the cache is enough. It
also loads half of what X.509 certificates need before it finds out whether the rest is installed (pyOpenSSL).
Machines are recognized by pinned plain keys only, so it is told at once that it isn't.
"""

import ctypes.util
import sys
from typing import Any

_CERTIFICATES = "asyncssh.crypto.x509"


def _in_cache(name: str) -> str | None:
    """The library's file. It is asked for as other systems call it too: no file begins with liblib."""
    found: str | None = None if name.startswith("lib") else _cached(name)
    return found


_searching = ctypes.util.find_library
_cached: Any = getattr(ctypes.util, "_findSoname_ldconfig", None)
if _cached is not None:  # where this Python has no such function, nothing is changed
    ctypes.util.find_library = _in_cache
if "asyncssh" not in sys.modules:
    sys.modules[_CERTIFICATES] = None  # type: ignore[assignment] # an import of it fails
try:
    import asyncssh
finally:
    ctypes.util.find_library = _searching
    if sys.modules.get(_CERTIFICATES, asyncssh) is None:
        del sys.modules[_CERTIFICATES]

__all__ = ["asyncssh"]
