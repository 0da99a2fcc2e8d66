# The project's commands. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: proto
proto: ## Generate src/offload/wire/gen from proto/ (commit the result)
	$(BIN)/python scripts/generate_proto.py
