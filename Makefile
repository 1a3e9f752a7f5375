# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
OKR := .venv/bin/okr
STACK := .venv/.stack-ready
DEV := .venv/.dev-ready
export UV_NO_PROGRESS ?= 1
# No tool of ours or of others reports home.
export DO_NOT_TRACK := 1
# What a shell may hold for another project's Python or bash must not reach the tools below (`okr` sees to itself).
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT PYTHONIOENCODING
unexport BASH_ENV ENV CDPATH

##@ Use it

demo: $(STACK) ## The whole pipeline on real services, with a simulated organisation or DATA=<folder> of your own
	$(OKR) demo $(if $(DATA),--data "$(DATA)")

up: $(STACK) ## Start the stack and keep it running
	$(OKR) up

down: ## Stop the stack; leaves no process and no port behind, keeps the state
	@if [ -x $(OKR) ]; then $(OKR) down; else echo "Nothing to stop: the environment is not set up (make up does it)."; fi

status: $(STACK) ## Services, addresses and logins
	$(OKR) status

clean: $(STACK) ## Stop the stack and delete its state (.state, or OKR_STATE)
	$(OKR) clean

##@ Work on it

test: $(DEV) ## Unit, integration and one end-to-end run, on real embedded services
	@.ci/system-packages
	.venv/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder --ignore tests/faults $(ARGS)

test-faults: $(DEV) ## Each kind of fault in its short form, in real processes (minutes)
	.venv/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder tests/faults $(ARGS)

test-chaos: $(DEV) ## Every fault at length (an hour or more); writes docs/faults.md
	@rm -f .faults.jsonl
	OKR_FAULT_TABLE=$(CURDIR)/.faults.jsonl .venv/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder tests/faults -m "chaos or not chaos" $(ARGS)
	$(if $(ARGS),@echo "A part alone: docs/faults.md stays as it is.",.venv/bin/python -m tests.faults.report_page .faults.jsonl docs/faults.md)
	@rm -f .faults.jsonl

lint: $(DEV) ## Style, import direction, dbt conventions, lock
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/pytest -q tests/dbt_project/test_conventions.py
	.venv/bin/okr contracts schemas --check
	.ci/check-lock

type: $(DEV) ## mypy, strict
	.venv/bin/mypy lakehouse ingestion expectations ml serving infra dags

bench: $(DEV) ## Benchmarks: ratios to a limit measured in the same run
	.venv/bin/pytest tests/benchmarks -o python_files='bench_*.py' --ignore tests/benchmarks/peers -s $(ARGS)

bench-peers: $(DEV) ## Landing beside Quix Streams, fetched into an environment of its own
	@[ -x .venv/peers/bin/python ] || .ci/clean-env .venv/bin/uv venv --quiet --python .venv/bin/python .venv/peers
	@.ci/clean-env .venv/bin/uv pip install --quiet --python .venv/peers/bin/python quixstreams==3.28.1 pyarrow
	OKR_QUIX_PYTHON=$(CURDIR)/.venv/peers/bin/python .venv/bin/pytest tests/benchmarks/peers -o python_files='bench_*.py' -s $(ARGS)

lock: $(DEV) ## Resolve requirements/*.txt anew after a change of pyproject.toml
	.ci/lock

##@ Environment (made when needed)

.venv/bin/uv: requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' is not on the PATH: install it, or say where it is: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, $(PYTHON) is $$($(PYTHON) -V)."; exit 1; }
	@$(PYTHON) -I -m venv .venv || { echo "A virtual environment could not be made in .venv: is the folder writable, and is Python's venv module installed (Debian: apt-get install python3.11-venv)?"; exit 1; }
	@echo "Setting up uv ..."
	@.ci/clean-env .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt || { echo "uv could not be fetched: is the package index reachable? Nothing is half done; run the same command again."; exit 1; }
	@touch $@

$(STACK): requirements/stack.txt pyproject.toml | .venv/bin/uv
	@.ci/install stack $@

$(DEV): requirements/dev.txt pyproject.toml | .venv/bin/uv
	@.ci/install dev $@
	@touch $(STACK)

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo up down status clean test test-faults test-chaos lint type bench bench-peers lock help
