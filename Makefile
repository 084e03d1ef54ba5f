# The front door. `make help` lists the targets; CI calls the same ones.
SHELL := bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := deploy/requirements
AUDIT := .cache/audit
DEMO_SECONDS ?= 0
FAULTS ?=
FUZZ ?=
FUZZ_SECONDS ?= 300
FUZZ_VENV := .venv-fuzz
PYTEST_ARGS ?=

.PHONY: help setup demo test bench faults fuzz lint format broker lock audit sbom schemas clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/ready ## make .venv from the locked, hashed requirements

$(VENV)/ready: $(LOCK)/setup.txt $(LOCK)/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hookline needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	echo "setup: installing into $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)/setup.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	touch $@

demo: setup ## the whole line on a real broker; DEMO_SECONDS=20 ends by itself
	@$(BIN)/python -m streams.demo --seconds $(DEMO_SECONDS)

test: lint ## lint, types, and every test on a real broker
	$(BIN)/pytest $(PYTEST_ARGS)

bench: setup ## throughput, latency and memory of the whole line, beside a reference
	@$(BIN)/python -m tests.bench

faults: setup ## break everything that can break, on a real broker; FAULTS="killed 500" runs those
	@$(BIN)/python -m tests.faults $(FAULTS)

fuzz: $(FUZZ_VENV)/ready ## bad input at every door for FUZZ_SECONDS, guided by coverage; FUZZ="hook" tries those
	@$(FUZZ_VENV)/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

$(FUZZ_VENV)/ready: $(LOCK)/fuzz.txt | setup
	@$(PYTHON) -m venv $(FUZZ_VENV)
	$(BIN)/uv pip install --quiet --python $(FUZZ_VENV)/bin/python --require-hashes -r $(LOCK)/fuzz.txt
	touch $@

lint: setup ## style, types, lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.supply.locks

format: setup ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

broker: setup ## a local Apache Kafka broker in the foreground
	@$(BIN)/hookline broker run

schemas: setup ## write schemas/ again from the code's own types
	$(BIN)/hookline schema export schemas

lock: setup ## resolve the requirements and the broker's jars again, hashed and without addresses
	compile="$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --python-version 3.11"
	$$compile pyproject.toml -o $(LOCK)/run.txt
	$$compile pyproject.toml --group dev -c $(LOCK)/run.txt -o $(LOCK)/dev.txt
	$$compile --group audit -o $(LOCK)/audit.txt
	$$compile pyproject.toml --group fuzz -c $(LOCK)/run.txt -o $(LOCK)/fuzz.txt
	printf 'uv\nhatchling\neditables\n' | $$compile - -o $(LOCK)/setup.txt
	$(BIN)/python -m tests.supply.jars

audit: $(AUDIT)/ready ## what is known against what is locked; needs a network: Error 1 is a finding, Error 3 nobody asked
	@$(BIN)/python -m tests.supply.audit $(AUDIT)/bin/pip-audit

$(AUDIT)/ready: $(LOCK)/audit.txt | setup
	@$(BIN)/python -m venv $(AUDIT)
	$(BIN)/uv pip install --quiet --python $(AUDIT)/bin/python --require-hashes -r $(LOCK)/audit.txt
	touch $@

sbom: setup ## what ships, as CycloneDX JSON, in dist/hookline.cdx.json
	@mkdir -p dist
	$(BIN)/python -m tests.supply.sbom > dist/hookline.cdx.json
	echo "sbom: dist/hookline.cdx.json"

clean: ## remove what the targets above made
	rm -rf $(VENV) $(FUZZ_VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
