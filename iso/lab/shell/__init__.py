"""A small POSIX shell in Python, with streams, for the lab's machines. See `iso.lab.shell.interpreter`."""
