# Quorum: `make run` and `make test` each work alone on a machine with Python >= 3.11 and make.
#
#   ARGS=…        further arguments of the command (make run ARGS="--stock", make test ARGS="-k offsets")
#   PYTHON=…      the interpreter that .venv is made from
#   WORKERS=…     processes that share the tests; each starts the servers that it needs
#   PIP_FLAGS=…   further flags of pip install, e.g. the index of another torch build

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2
ROOMS := review_rules ls_config ml_backend label_studio_quorum ls_plugin

.DEFAULT_GOAL := help
.PHONY: help setup run demo test lint bench clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install everything

run: $(READY) ## start Label Studio, the ML backend and the example campaign
	@exec $(BIN)/quorum up $(ARGS)

demo: $(READY) ## the same, and a simulated team works the campaign to the end
	@exec $(BIN)/quorum demo --start $(ARGS)

test: $(READY) ## run every test on real servers
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY) ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy $(ROOMS) tests benchmarks
	PYTHONPATH=. $(BIN)/lint-imports

bench: $(READY) ## measure what docs/ claims
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file $(ARGS) || exit 1; done

clean: ## remove .venv and caches; the data folder stays
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; install one or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks the venv module; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv; the first time takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[all,dev]'
	@touch $@

constraints.txt:
	{ echo "# The versions that this release was built and tested with; made from a working .venv by: make -B constraints.txt"; \
	  $(BIN)/pip freeze --exclude-editable | sed -E 's/\+cpu$$//'; } >$@
