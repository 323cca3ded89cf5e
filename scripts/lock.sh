#!/bin/sh
# Recomputes requirements.lock (versions and hashes of every dependency) from pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
tools="$(mktemp -d)"
trap 'rm -rf "$tools"' EXIT
.venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$tools" uv
PYTHONPATH="$tools" .venv/bin/python -m uv pip compile -q --generate-hashes --no-emit-index-url --no-header \
  --extra dev -o requirements.lock pyproject.toml
