# `make run` and `make test` are all that a newcomer needs; each sets itself up.
PYTHON ?= python3
VENV   ?= .venv
KONG_YML ?= kong.yml
bin := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test lint clean

help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready ## a virtual environment in .venv

test: $(VENV)/.ready ## the whole test suite, with a real Redis server
	@$(bin)/python -m pytest -n auto

lint: $(VENV)/.ready ## ruff (lint and format) and mypy
	@$(bin)/ruff check . && $(bin)/ruff format --check . && $(bin)/mypy

clean: ## remove what the other targets made
	rm -rf $(VENV) dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
