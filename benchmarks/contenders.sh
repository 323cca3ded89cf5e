#!/bin/sh
# Makes the environment of the tools that we compare with. Not a dependency of the product: artifacts/ is ignored by git.
set -eu
cd "$(dirname "$0")/.."
venv=artifacts/bench-venv
pyinfra=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("pyinfra"))')
[ -x "$venv/bin/python" ] || .venv/bin/python -m venv "$venv"
"$venv/bin/python" -m pip install --quiet 'ansible-core==2.19.*' "pyinfra==$pyinfra"
"$venv/bin/python" -m pip list 2>/dev/null | grep -E '^(ansible-core|pyinfra|paramiko) '
