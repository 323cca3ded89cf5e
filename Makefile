# Two commands matter: `make demo` and `make test`. Both set up everything they need.
.PHONY: setup demo test check lint docs bench lock libraries clean
.DEFAULT_GOAL := demo

setup:            ## .venv from the lock file; .venv/bin/cto is the program afterwards
	@scripts/setup.sh

demo: setup       ## two sites of simulated machines become two Talos clusters, in front of you
	@.venv/bin/cto demo

test: setup       ## everything: lint, types, structure, tests; as root also installs the tools they need
	@scripts/test.sh

check: setup      ## the quick half of `make test`: lint, types, structure, unit tests
	@scripts/test.sh --quick

lint: setup       ## format and lint, changing files
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

docs: setup       ## run every command block of README and docs
	@.venv/bin/pytest -q tests/docs

bench: setup      ## measure; see docs/performance.md
	@.venv/bin/python -m benchmarks

lock: setup       ## recompute requirements.lock from pyproject.toml
	@scripts/lock.sh

libraries: setup  ## are the locked libraries inside the time frames of docs/security.md? (asks the network)
	@.venv/bin/python scripts/libraries.py

clean:            ## remove what the targets above made
	@rm -rf .venv artifacts build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
