#!/bin/sh
# Makes .venv exactly as requirements.lock says. Does not install system packages (scripts/system.sh does).
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed; $("$python" --version 2>&1) was found. Set PYTHON=/path/to/python3.11." >&2
  exit 2
}
stamp=.venv/.locked
wanted="$(cat requirements.lock pyproject.toml | sha256sum)" # the second one names the program's entry point
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
  else
    echo "Python's venv module is missing. Run: sudo apt-get install python3-venv" >&2
    exit 2
  fi
fi
echo "Setting up .venv from requirements.lock (once; about a minute)…" >&2
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$wanted" > "$stamp"
