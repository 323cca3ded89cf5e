#!/bin/sh
# Mutation testing of the quorum guard, waves and failure budget with mutmut 3, in a copy of its own.
# Needs: .venv/bin/pip install mutmut. Writes nothing in the checkout. Takes about two minutes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/controller/core" "$copy/tests"
cp "$root/controller/__init__.py" "$copy/controller/"
cp -r "$root/controller/core/__init__.py" "$root/controller/core/quorum.py" "$root/controller/core/rollout" "$copy/controller/core/"
cp -r "$root/inventory" "$copy/"
cp "$root/tests/unit/core/rollout/test_guard.py" "$root/tests/unit/core/rollout/test_waves_and_budget.py" \
   "$root/tests/unit/core/test_quorum.py" "$copy/tests/"
cat > "$copy/tests/conftest.py" <<'EOF'
from hypothesis import settings

settings.register_profile("mutation", deadline=None, max_examples=25, database=None, derandomize=True)
settings.load_profile("mutation")
EOF
cat > "$copy/setup.cfg" <<'EOF'
[mutmut]
source_paths=controller/
only_mutate=
  controller/core/quorum.py
  controller/core/rollout/waves.py
  controller/core/rollout/budget.py
also_copy=inventory/
pytest_add_cli_args_test_selection=tests/
EOF
printf '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = "--import-mode=importlib -p no:randomly"\n' > "$copy/pyproject.toml"
cd "$copy"
"$root/.venv/bin/mutmut" run --max-children 2
"$root/.venv/bin/mutmut" results
