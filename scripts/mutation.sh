#!/bin/sh
# Mutation testing of what decides about safety: the quorum guard, waves, the failure budget, and the calendar of
# windows. One run with mutmut 3, in a copy of its own; prints a table, then the mutants that survived.
# Needs: .venv/bin/pip install mutmut. Writes nothing in the checkout. Takes about five minutes on two processors.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
core="$copy/controller/core"
tests="$copy/tests/unit/core"
mkdir -p "$core" "$tests/rollout" "$copy/tests/fixtures"
cp "$root/controller/__init__.py" "$copy/controller/"
cp -r "$root/controller/core/__init__.py" "$root/controller/core/quorum.py" "$root/controller/core/membership.py" \
  "$root/controller/core/rollout" "$root/controller/core/calendar" "$core/"
cp -r "$root/inventory" "$copy/"
cp -r "$root/tests/fixtures/calendar" "$copy/tests/fixtures/"
cp -r "$root/tests/unit/core/calendar" "$root/tests/unit/core/test_quorum.py" "$root/tests/unit/core/test_membership_walk.py" "$tests/"
# The comparisons with an oracle and with a grid of minutes would run for each mutant, for minutes.
rm "$tests/calendar/test_oracle.py" "$tests/calendar/test_sets.py"
for name in gates test_guard test_waves_and_budget test_approval; do
  cp "$root/tests/unit/core/rollout/$name.py" "$tests/rollout/"
done
cat > "$copy/tests/conftest.py" <<'PYTHON'
from hypothesis import settings

settings.register_profile("mutation", deadline=None, max_examples=25, database=None, derandomize=True)
settings.load_profile("mutation")
PYTHON
cat > "$copy/setup.cfg" <<'INI'
[mutmut]
source_paths=controller/
only_mutate=
  controller/core/quorum.py
  controller/core/rollout/waves.py
  controller/core/rollout/budget.py
  controller/core/calendar/*.py
also_copy=
  inventory/
  tests/
pytest_add_cli_args_test_selection=tests/
INI
printf '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = "--import-mode=importlib -p no:randomly"\n' > "$copy/pyproject.toml"
cd "$copy"
"$root/.venv/bin/mutmut" run --max-children 2 > "$copy/run.txt" 2>&1 || { tail -40 "$copy/run.txt"; exit 1; }
"$root/.venv/bin/mutmut" results --all true > "$copy/results.txt"
awk -F': ' '
  { sub(/^ +/, "", $1); part = $1; sub(/^controller\.core\./, "", part); split(part, names, ".x")
    name = names[1]; all[name]++; total++
    if ($2 == "killed" || $2 == "timeout") { dead[name]++; deaths++ } else survivors[++left] = $1 ": " $2 }
  END {
    for (name in all) printf "%-24s %5d mutants %5d killed %5.1f %%\n", name, all[name], dead[name], 100 * dead[name] / all[name] | "sort"
    close("sort")
    printf "%-24s %5d mutants %5d killed %5.1f %%\n", "all", total, deaths, 100 * deaths / total
    for (i = 1; i <= left; i++) print "  " survivors[i] }
' "$copy/results.txt"
