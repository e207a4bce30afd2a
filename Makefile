# Two commands, each of which creates what it needs:
#   make demo   applies the example in examples/specs/house-price and shows its first predictions
#   make test   runs the tests, but those that drive the platform's own client
#   make test-sdk  runs those: it installs both public versions of that client, once, and takes some minutes
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests wait for processes a third of the time, so there are more of them at once than processors.
WORKERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

.PHONY: demo test test-sdk check reference clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

# Each call is told as passed, or as known to be different or lacking with the reason. The sessions run side by side.
test-sdk: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -v --sdk tests/sdk -rsxX

# Writes docs/reference anew: from the schemas, the SDK's docstrings and the operations of the API.
reference: $(VENV)/.installed-dev
	$(BIN)/python -m specrunner.report.reference schemas docs/reference
	$(BIN)/python -m specrunner.report.reference_sdk specrunner/sdk docs/reference/sdk.md
	$(BIN)/python -c 'import json; from specrunner.server.api.face import OPERATIONS; \
	  from specrunner.server.api.openapi import document; print(json.dumps(document(OPERATIONS)))' > $(VENV)/openapi.json
	$(BIN)/python -m specrunner.report.reference_api $(VENV)/openapi.json docs/reference/api.md

# What CI runs before the tests.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "specrunner needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .demo dist build
