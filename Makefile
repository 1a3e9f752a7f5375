# The main targets are `make demo` and `make test`; `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
OKR := .venv/bin/okr
STACK := .venv/.stack-ready
DEV := .venv/.dev-ready
export UV_NO_PROGRESS ?= 1
# Stop tools from sending telemetry.
export DO_NOT_TRACK := 1
# Variables that the caller's shell sets for other Python projects or for bash must not affect the tools below. (`okr`
# ignores them anyway.)
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT PYTHONIOENCODING PYTHONDONTWRITEBYTECODE
unexport BASH_ENV ENV CDPATH

##@ Run

demo: $(STACK) ## Run the whole pipeline on real services, with a simulated organisation or your own DATA=<folder>
	$(OKR) demo $(if $(DATA),--data "$(DATA)")

up: $(STACK) ## Start the stack and leave it running (TLS=1: with nginx in front; MONITORING=1: with Prometheus; 0: without)
	$(OKR) up $(if $(TLS),$(if $(filter 0,$(TLS)),--no-tls,--tls)) $(if $(MONITORING),$(if $(filter 0,$(MONITORING)),--no-monitoring,--monitoring))

down: ## Stop all processes of the stack and keep its state
	@if [ -x $(OKR) ]; then $(OKR) down; else echo "Nothing to stop: the environment is not set up (make up does it)."; fi

status: $(STACK) ## Show services, addresses and logins
	$(OKR) status

clean: $(STACK) ## Stop the stack and delete its state (.state, or OKR_STATE)
	$(OKR) clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

SERVING_BENCHMARKS := $(addprefix tests/benchmarks/bench_,predict.py swap.py forecast_cache.py routes.py workers.py request_guard.py)

##@ Develop

test: $(DEV) ## Run unit, integration and end-to-end tests on real embedded services (SHARD=2/6: one of six parts)
	@.ci/system-packages
	files=$(if $(SHARD),$$(.ci/shard $(SHARD))) && .venv/bin/pytest -n 3 --dist loadscope --no-loadscope-reorder --ignore tests/faults --ignore tests/ops $$files $(ARGS)

test-faults: $(DEV) ## Run the short fault tests on real processes (minutes)
	.venv/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder tests/faults $(ARGS)

test-chaos: $(DEV) ## Run all fault tests (an hour or more) and write docs/faults.md
	@rm -f .faults.jsonl
	OKR_FAULT_TABLE=$(CURDIR)/.faults.jsonl .venv/bin/pytest -n 2 --dist loadscope --no-loadscope-reorder tests/faults -m "chaos or not chaos" $(ARGS)
	$(if $(ARGS),@echo "Only a part ran, so docs/faults.md was not updated.",.venv/bin/python -m tests.faults.report_page .faults.jsonl docs/faults.md)
	@rm -f .faults.jsonl

test-ops: $(DEV) ## Run the tests of operations on real parts (root, Debian) and write their figures into docs/operations.md
	@.ci/system-packages ops
	@rm -f .ops.jsonl
	OKR_FIGURES=$(CURDIR)/.ops.jsonl .venv/bin/pytest tests/ops $(ARGS)
	$(if $(ARGS),@echo "Only a part ran, so docs/operations.md was not updated.",.venv/bin/python -m tests.figures .ops.jsonl docs/operations.md)
	@rm -f .ops.jsonl

fuzz: $(DEV) ## Send the API many requests made from its OpenAPI description (EXAMPLES for each operation)
	FUZZ_EXAMPLES=$(or $(EXAMPLES),100) .venv/bin/pytest -s tests/serving/conformance $(ARGS)

lint: $(DEV) ## Check style, architecture rules (.importlinter), dbt conventions and the lock files
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/pytest -q tests/dbt_project/test_conventions.py
	.venv/bin/okr contracts schemas --check
	.ci/check-lock

scan: $(DEV) ## Scan the code, the history and the packages (unsafe code, secrets, licences, SBOM, vulnerabilities)
	.venv/bin/python .ci/scan $(ARGS)

check-docs: $(DEV) ## Check the documentation: links, commands, runbooks, settings
	.venv/bin/pytest -q tests/test_readme.py tests/infra/test_runbooks.py tests/lakehouse/configuration

type: $(DEV) ## Check types (mypy, strict)
	.venv/bin/mypy lakehouse ingestion expectations ml serving infra dags

client: $(DEV) ## Generate okr_client, the API's Python client, from the OpenAPI description, and build its wheel
	.venv/bin/python -m serving.client_generator
	cd serving/client && $(CURDIR)/.venv/bin/python -m hatchling build -t wheel -d $(CURDIR)/dist

release: $(DEV) ## Build the wheel of a release for servers in dist/ (docs/servers.md)
	.venv/bin/python -m hatchling build -t wheel -d dist
	@echo "Install it with Ansible, or on a server with: okr-release install <wheel>"

bench: $(DEV) ## Run benchmarks, each compared with a reference measured in the same run
	.venv/bin/pytest tests/benchmarks -o python_files='bench_*.py' --ignore tests/benchmarks/peers -s $(ARGS)

bench-serving: $(DEV) ## Run the benchmarks of the API and write their figures into docs/serving.md
	@rm -f .bench.jsonl; missed=0; export OKR_FIGURES=$(CURDIR)/.bench.jsonl; \
	.venv/bin/pytest $(SERVING_BENCHMARKS) -o python_files='bench_*.py' -s $(ARGS) || missed=1; \
	$(MAKE) --no-print-directory bench-peers ARGS=tests/benchmarks/peers/bench_serving.py || missed=1; \
	.venv/bin/python -m tests.figures .bench.jsonl docs/serving.md; \
	rm -f .bench.jsonl; exit $$missed

bench-forecasts: $(DEV) ## Compare the forecasts of real goals in OKR_SHARED with simple rivals, and write docs/model.md
	@rm -f .bench.jsonl; missed=0; export OKR_FIGURES=$(CURDIR)/.bench.jsonl; \
	.venv/bin/pytest tests/benchmarks/bench_forecasts.py -o python_files='bench_*.py' -s $(ARGS) || missed=1; \
	.venv/bin/python -m tests.figures .bench.jsonl docs/model.md; \
	rm -f .bench.jsonl; exit $$missed

bench-peers: $(DEV) ## Compare landing and serving with other products, each installed in a separate environment
	@.ci/peer peers quixstreams==3.28.1 pyarrow
	@.ci/peer peers-mlserver mlserver==1.7.1 xgboost-cpu==3.2.0
	@.ci/peer peers-bentoml bentoml==1.4.40 xgboost-cpu==3.2.0
	OKR_QUIX_PYTHON=$(CURDIR)/.venv/peers/bin/python OKR_MLSERVER=$(CURDIR)/.venv/peers-mlserver/bin OKR_BENTOML=$(CURDIR)/.venv/peers-bentoml/bin \
		.venv/bin/pytest $(or $(ARGS),tests/benchmarks/peers) -o python_files='bench_*.py' -s

hooks: $(DEV) ## Install the hooks of git (.pre-commit-config.yaml): format, lint, and no secrets in a commit
	@.ci/peer pre-commit pre-commit==4.7.0
	.venv/pre-commit/bin/pre-commit install

lock: $(DEV) ## Resolve requirements/*.txt again after a change to pyproject.toml
	.ci/lock

# The environment, which is created when it is needed

.venv/bin/uv: requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is required, and '$(PYTHON)' is not on the PATH: install it, or give its path: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is required, and $(PYTHON) is $$($(PYTHON) -V)."; exit 1; }
	@$(PYTHON) -I -m venv .venv || { echo "The virtual environment .venv could not be created: is the folder writable, and is Python's venv module installed (Debian: apt-get install python3.11-venv)?"; exit 1; }
	@echo "Setting up uv ..."
	@.ci/clean-env .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt || { echo "uv could not be downloaded: is the package index reachable? Run the same command again."; exit 1; }
	@touch $@

$(STACK): requirements/stack.txt pyproject.toml | .venv/bin/uv
	@.ci/install stack $@

$(DEV): requirements/dev.txt pyproject.toml | .venv/bin/uv
	@.ci/install dev $@
	@touch $(STACK)

.PHONY: demo up down status clean test test-faults test-chaos test-ops fuzz lint scan check-docs type client release bench bench-serving bench-forecasts bench-peers hooks lock help
