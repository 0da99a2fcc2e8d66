# The project's commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
PIP_FLAGS := --quiet --disable-pip-version-check
# Tests write below a folder of their own, which stays only where one of them failed.
PYTEST = folder=$$(mktemp -d) && $(BIN)/python -m pytest -q --basetemp="$$folder/tests" $(1) && rm -rf "$$folder"
LOCK := $(BIN)/uv pip compile pyproject.toml --extra images --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

# A stamp holds the state of .venv: what is newer than it makes the next command install again.
RUN_STAMP := $(VENV)/.run-installed
DEV_STAMP := $(VENV)/.dev-installed

# Quick ones first; what is not there yet is left out.
QUICK := $(wildcard tests/style tests/unit tests/contracts tests/simulation)
# Those that start real sandboxes and engines by the dozen are for `test` alone.
HEAVY := $(wildcard $(addprefix tests/contracts/test_,console.py image_builder.py runtime.py volume_mounts.py))
SLOW := $(wildcard tests/typing tests/docs tests/integration tests/security tests/faults tests/acceptance)

.PHONY: help run test check lint bench bench-peers simulate mutations proto docs lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

run: $(RUN_STAMP) ## Install into .venv and run both examples
	$(BIN)/offload run examples/hello.py
	$(BIN)/offload run examples/stdlib_metrics.py

# The tests come last, in one run, so that its summary is the last thing to read and counts all of them.
test: lint ## Everything: what check does, and all other tests
	$(call PYTEST,$(QUICK) $(SLOW))

check: lint ## Lint, types, import contracts and the quick tests
	$(call PYTEST,$(QUICK) $(addprefix --ignore=,$(HEAVY)))

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(RUN_STAMP) ## Run one benchmark: make bench NAME=roundtrip
	@test -n "$(NAME)" || { echo "Say which one: make bench NAME=…, of: $(basename $(notdir $(wildcard benchmarks/*.py)))"; exit 2; }
	@test -f "benchmarks/$(NAME).py" || { echo "There is no benchmarks/$(NAME).py."; exit 2; }
	@if [ "$(NAME)" = coldstart ]; then ./scripts/install_packages.sh dockerd=docker.io runsc=runsc; fi
	@if [ "$(NAME)" = images ]; then ./scripts/install_packages.sh mmdebstrap=mmdebstrap newuidmap=uidmap; fi
	@if [ "$(NAME)" = attacks ]; then ./scripts/install_packages.sh dockerd=docker.io ip=iproute2 runsc=runsc nft=nftables; fi
	@if [ "$(NAME)" = web ]; then ./scripts/install_packages.sh wrk=wrk nginx=nginx-light; fi
	@if [ -f benchmarks/$(NAME).lock ]; then $(MAKE) --no-print-directory bench-peers; fi
	$(BIN)/python -m benchmarks.$(NAME)

# What a benchmark compares with has an environment of its own: its pins are not ours.
bench-peers:
	@test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install $(PIP_FLAGS) --require-hashes -r benchmarks/$(NAME).lock
	@case "$(NAME)" in roundtrip|state) ./scripts/install_packages.sh redis-server=redis-server;; esac

SEEDS ?= 10000

simulate: $(DEV_STAMP) ## Play simulated clusters: make simulate SEEDS=10000
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

mutations: $(DEV_STAMP) ## Make mistakes in a copy of the core; the tests must notice each
	$(BIN)/python -m tests.simulation.mutations

proto: $(DEV_STAMP) ## Generate src/offload/wire/gen from proto/ (commit the result)
	$(BIN)/python scripts/generate_proto.py

docs: $(DEV_STAMP) ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

lock: $(DEV_STAMP) ## Choose versions anew and write the lock files
	$(LOCK) --upgrade --group build -o requirements.lock
	$(LOCK) --upgrade --group build --group dev -c requirements.lock -o requirements-dev.lock

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(BENCH_VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Looked up only where it is missing: each Python of Debian has one of its own.
VENV_PACKAGE = python$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv

# Debian splits venv from its Python; only root can add it, everybody else is told.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "offload needs Python 3.11 or newer; name one with PYTHON=…"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		|| { echo "$(PYTHON) cannot make a virtual environment: let root run 'apt install $(VENV_PACKAGE)'."; exit 2; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(VENV_PACKAGE); }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install $(PIP_FLAGS) --require-hashes -r requirements.lock
	$(BIN)/pip install $(PIP_FLAGS) --no-build-isolation --no-deps -e .
	touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(BIN)/pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	./scripts/install_packages.sh mount=mount useradd=passwd setpriv=util-linux \
		dockerd=docker.io ip=iproute2 runsc=runsc mmdebstrap=mmdebstrap docker-registry=docker-registry \
		newuidmap=uidmap zstd=zstd nft=nftables pasta=passt slirp4netns=slirp4netns chromium=chromium \
		libgomp.so.1=libgomp1 libopenblas.so.0=libopenblas0-pthread
	touch $@
