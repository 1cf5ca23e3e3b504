# The verbs of this repository. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# What can be set: make run PORT=9000, make dev PYTHON=/usr/bin/python3.12, make test T=tests/plan
PYTHON ?= $(shell scripts/find_python.sh | sed -n '1s/^[^ ]* //p')
PYTHON := $(or $(PYTHON),python3)
HOST ?= 127.0.0.1
PORT ?= 8000
VENV ?= .venv

.PHONY: help dev
help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

dev: ## make .venv and build the engine in place; cheap when nothing changed
	@$(PYTHON) scripts/dev.py --venv $(VENV) --extras dev
