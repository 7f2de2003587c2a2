# Every command of this repository. Each builds what it needs in .venv, by itself, and again when
# pyproject.toml or the pins have changed.
#
#   ARGS=...     handed to the command:          make test ARGS="tests/test_layers.py -x"
#                                                make demo ARGS="--otlp http://127.0.0.1:4318"
#   PYTHON=...   the Python to build .venv with: make test PYTHON=/opt/python3.13/bin/python3
#   WORKERS=...  how many processes test:        make test WORKERS=0

VENV := .venv
BIN := $(VENV)/bin
# One more than most machines have cores to spare: a good part of the tests waits for real timeouts.
WORKERS ?= 3
PINS := requirements/dev.txt

# None of these may reach into .venv, whatever shell we were started from.
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV
unexport PIP_PREFIX PIP_TARGET
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The tests start many processes, and each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

# A .venv whose Python is gone, or that was moved here from another folder, is no .venv.
ifneq ($(shell test -x $(BIN)/python && test "$$(cat $(VENV)/made-in 2>/dev/null)" = "$$(pwd -P)" && echo yes),yes)
.PHONY: $(VENV)/made-in
endif

.DEFAULT_GOAL := help
.PHONY: help demo test faults mutants bench guard storm dashboards pictures lint types format pins clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 @\2/p' Makefile | while IFS=@ read -r name what; do \
	    printf '%-14s %s\n' "$$name" "$$what"; done

demo: $(VENV)/ready-demo ## three misbehaving HTTPS hosts and a workload that survives them
	@$(BIN)/sleepwalker demo $(ARGS)

test: $(VENV)/ready-dev ## the test suite
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

faults: $(VENV)/ready-dev ## the fault matrix beside other clients; writes docs/fault-matrix.md
	@$(BIN)/python -m tests.faults $(ARGS)

mutants: $(VENV)/ready-dev ## what no test of the pure objects notices; minutes
	@$(BIN)/python -m tests.mutation $(ARGS)

bench: $(VENV)/ready-dev ## the benchmarks, as ratios beside other clients
	@$(BIN)/python -m benchmarks $(ARGS)

guard: $(VENV)/ready-dev ## fail when calls do more than they did, or a budget is missed
	@$(BIN)/python -m benchmarks.guard $(ARGS)

storm: $(VENV)/ready-dev ## what retries do to a server that fails
	@$(BIN)/python -m benchmarks.retry_storm $(ARGS)

dashboards: $(VENV)/ready-dev ## write the dashboards and rules anew from dashboards/source
	@$(BIN)/python -m dashboards.source $(ARGS)

pictures: $(VENV)/ready-pictures ## draw the dashboards and a trace anew, from a run of the demo; needs Prometheus
	@$(BIN)/python -m dashboards.pictures $(ARGS)

lint: $(VENV)/ready-dev ## formatting and every ruff rule
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(VENV)/ready-dev ## mypy, strict
	@$(BIN)/mypy

format: $(VENV)/ready-dev ## format, and correct what can be corrected
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Needs nothing but uv, since the old pins may not fit. lowest.txt: first the library's own lower
# bounds alone, then the newest of everything else that goes with them.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
    --no-header --no-annotate --no-emit-package sleepwalker
pins: $(VENV)/made-in ## choose the versions in requirements/ anew
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) --extra pictures --output-file $(PINS)
	@$(COMPILE) --extra cli --extra otel --resolution lowest-direct --no-deps --output-file $(VENV)/bounds.txt
	@$(COMPILE) --extra pictures --constraint $(VENV)/bounds.txt --output-file requirements/lowest.txt

clean: ## remove what these commands made
	@rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/ready-demo: pyproject.toml $(PINS) $(VENV)/made-in
	@echo "Installing what the demo needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --constraint $(PINS) --editable '.[cli]'
	@touch $@

$(VENV)/ready-dev: pyproject.toml $(PINS) $(VENV)/made-in
	@echo "Installing what development needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --constraint $(PINS) --editable '.[dev]'
	@touch $@ $(VENV)/ready-demo

$(VENV)/ready-pictures: pyproject.toml $(PINS) $(VENV)/made-in
	@echo "Installing what pictures need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --constraint $(PINS) --editable '.[pictures]'
	@touch $@ $(VENV)/ready-dev $(VENV)/ready-demo

# The first of these that is new enough and can build environments. A name may be there and not
# run (a shim without its version), so each is asked rather than looked up.
$(VENV)/made-in:
	@unusable=; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    found=$$("$$python" -c 'import platform; print(platform.python_version())' 2>/dev/null) \
	        || continue; \
	    if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	        unusable="$$unusable $$python is $$found: too old."; \
	    elif ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	        unusable="$$unusable $$python is $$found, but has no venv module (Debian, Ubuntu: apt install python3-venv)."; \
	    else \
	        echo "Building $(VENV) with $$python, which is Python $$found ..."; \
	        "$$python" -m venv --clear $(VENV) && pwd -P > $@; exit; \
	    fi; \
	done; \
	echo "Sleepwalker needs Python 3.11 or newer, with its venv module.$$unusable" >&2; \
	echo "Install one, or name one that is not on the path: make PYTHON=/where/it/is/python3" >&2; \
	exit 1
