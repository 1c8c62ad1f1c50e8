# Everything a person runs. `make run` is the first; the plain commands stand in the README.
PYTHON ?= python3
BIN := .venv/bin
TORCH_INDEX ?=

SHELL := /bin/bash

.PHONY: run setup test test-faults lint check methods ablations bench peers starter-report report starter screens clean

run: setup
	$(BIN)/python -m app serve

setup: .venv/installed

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "The system package python3-venv is missing; install it with: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/pip install --index-url $(TORCH_INDEX) torch==2.13.0,@true)
	$(BIN)/pip install -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt requirements-extras.txt
	$(BIN)/pip install -r requirements-dev.txt
	@touch $@

test: .venv/installed-dev
	@command -v chromium >/dev/null || echo "chromium is missing, so the browser tests are skipped; install it with: apt-get install chromium"
	$(BIN)/python -m pytest -m "not slow" -n 2
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow and not alone" -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

# The long form of the faults, and the table of what held.
test-faults: .venv/installed-dev
	rm -f test-artifacts/faults.jsonl
	SEMBLANCE_FAULTS=full $(BIN)/python -m pytest -s tests/faults
	$(BIN)/python -m tests.faults.table

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

# What each change asks for first; `make test` has everything.
QUICK := tests/test_architecture.py tests/adapters tests/pipelines/methods tests/pipelines/lab tests/app/library tests/app/ui

check: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 $(QUICK)

# Hours on two cores; what was run before is not run again, so they may be ended and gone on with.
methods: .venv/installed
	$(BIN)/python -W ignore -m pipelines.lab methods
	$(BIN)/python -W ignore -m pipelines.lab curve

ablations: .venv/installed
	$(BIN)/python -W ignore -m pipelines.lab ablations

# PEERS is a folder with diffusers' examples train_dreambooth_lora.py and textual_inversion.py.
peers: .venv/installed
	$(BIN)/python -W ignore -m pipelines.speed.peers --scripts $(PEERS) --write

bench: .venv/installed
	$(BIN)/python -m app bench --json

starter-report: .venv/installed
	$(BIN)/python -m pipelines.starter.report

# Every trial that is missing, the starter's report and the speed, then the pages: hours on two cores the first time.
report: methods ablations
	$(BIN)/python -W ignore -m pipelines.starter.report --write
	$(BIN)/python -W ignore -m app bench --write
	$(BIN)/python -W ignore -m pipelines.lab report

starter: .venv/installed
	$(BIN)/python -m pipelines.starter.train

# The README's pictures, from what the browser tests left in test-artifacts.
screens: .venv/installed-dev
	$(BIN)/python -m tests.app.screens

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
