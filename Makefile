# The verbs of this repository; `make` alone lists them. What can be set:
#   make run PORT=9000 HOST=0.0.0.0      make dev PYTHON=/usr/bin/python3.12
#   make test T=tests/plan               make test FUZZ=1 ALL_PYTHONS=1 (as CI does)
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The newest supported Python that is found; python3 otherwise, which then says what it lacks.
PYTHON ?= $(or $(shell scripts/find_python.sh | sed -n '1s/^[^ ]* //p'),python3)
PYTHON := $(PYTHON)
HOST ?= 127.0.0.1
PORT ?= 8000
FUZZTIME ?= 60s
# Releases of FastAPI that the plan compiler is tested on, beside the newest: the oldest supported, one between.
FASTAPI ?= 0.115.0 0.136.3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run dev build test fmt lint race asan fuzz bench bench-check soak docs clean have-python

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sed 's/^/  make /' | expand -t 20

have-python:
	@command -v "$(PYTHON)" >/dev/null || { echo "turboapi: Python 3.11 or newer is missing: there is no $(PYTHON)." >&2; exit 1; }

run: have-python ## build everything into .venv and serve examples/bookshop on HOST:PORT
	@"$(PYTHON)" scripts/dev.py --venv $(VENV) --extras examples
	@echo "turboapi: serving examples/bookshop; its documentation is at http://$(HOST):$(PORT)/docs, Ctrl-C ends it"
	@exec $(BIN)/turboapi run bookshop.main:app --app-dir examples/bookshop --host "$(HOST)" --port "$(PORT)"

dev: have-python ## make .venv with all tools and build the engine in place
	@"$(PYTHON)" scripts/dev.py --venv $(VENV) --extras dev

build: dev ## build a wheel and a source archive into dist/
	@$(BIN)/python -m pip --disable-pip-version-check wheel -q --no-deps -w dist .
	@cd scripts && ../$(BIN)/python -c "import os, build_backend as b; os.chdir('..'); b.build_sdist('dist')" >/dev/null
	@ls -l dist

test: dev ## build and run all tests; T=tests/plan or T=gosrc/wire runs these only
	@$(BIN)/python scripts/suite.py $(T) $(if $(FUZZ),--fuzz $(FUZZTIME)) $(if $(ALL_PYTHONS),--all-pythons) --fastapi $(FASTAPI)

fmt: dev ## bring Python, Go and C into form
	@$(BIN)/python scripts/lint.py --fix

lint: dev ## check the form of everything, types, the change log's version
	@$(BIN)/python scripts/lint.py

race: dev ## run the Go tests with the race detector
	@$(BIN)/python scripts/suite.py gosrc

asan: dev ## run the Python tests on an engine built with the address sanitizer; T= selects
	@$(BIN)/python scripts/asan.py $(T)

fuzz: dev ## fuzz the parsers, each package for FUZZTIME
	@$(BIN)/python scripts/fuzz.py $(FUZZTIME)

bench: dev ## measure the server beside its peers; writes benchmarks/results/
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-check: dev ## the short form of bench; fails below the ratios that must hold
	@$(BIN)/python benchmarks/run.py --check $(ARGS)

soak: dev ## 30 minutes of mixed load: flat memory, no lost exchange
	@$(BIN)/python benchmarks/soak.py $(ARGS)

docs: dev ## check the documentation: its links, its code, its examples run
	@$(BIN)/python -m pytest -q tests/docs

clean: ## remove what the other verbs made, but for .venv
	@rm -rf build dist *.egg-info turboapi/_engine*.so $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find turboapi tests examples scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@rm -f $(VENV)/installed-*
