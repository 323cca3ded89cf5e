"""Imports asyncssh without its search for optional libraries by compiler. Changes nothing that it can do.

At import asyncssh looks for two shared libraries by `ctypes.util.find_library`, which asks the loader's
cache first and then gcc and ld. What only a compiler finds the loader would not, so the cache is enough, and
a command that opens connections starts 15 ms of processor time earlier.
"""

import ctypes.util

_searching = ctypes.util.find_library
# Where this Python has no such function, nothing is changed.
ctypes.util.find_library = getattr(ctypes.util, "_findSoname_ldconfig", _searching)
try:
    import asyncssh
finally:
    ctypes.util.find_library = _searching

__all__ = ["asyncssh"]
