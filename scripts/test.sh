#!/bin/sh
# Lint, types, structure, tests, in this order, stopping at the first failure. --quick leaves out the slow half.
set -eu
cd "$(dirname "$0")/.."
quick="${1:-}"
bin=.venv/bin
[ "$quick" = "--quick" ] || scripts/system.sh
"$bin"/ruff format --check --quiet . || { echo "Formatting differs: run make lint" >&2; exit 1; }
"$bin"/ruff check --quiet .
"$bin"/mypy --no-error-summary
"$bin"/lint-imports --no-cache > /tmp/cto-imports.$$ 2>&1 || { cat /tmp/cto-imports.$$; rm -f /tmp/cto-imports.$$; exit 1; }
rm -f /tmp/cto-imports.$$
if [ "$quick" = "--quick" ]; then
  exec "$bin"/pytest -q -n 2 tests/unit tests/architecture
fi
# Building the bootable image and booting it under QEMU takes most of the time.
if [ "${SKIP_SLOW:-}" = 1 ]; then
  echo "Leaving out what is marked slow (SKIP_SLOW=1)." >&2
  exec "$bin"/pytest -q -n 2 --dist worksteal -m "not slow" tests
fi
echo "Running everything; make test SKIP_SLOW=1 leaves out the longest tests (the image under QEMU)." >&2
exec "$bin"/pytest -q -n 2 --dist worksteal tests
