# `make run` and `make test` are all that a newcomer needs; each sets itself up.
VENV     ?= .venv
KONG_YML ?= kong.yml
# Two test processes a CPU; `make test WORKERS=0` runs in one, where a debugger works.
WORKERS  ?= auto
TESTS    ?=
bin      := $(VENV)/bin

# Python 3.10 or newer. Where PATH has no Redis server, one of 3.10 to 3.12 first: for those, a wheel brings one.
ifndef PYTHON
PYTHON := $(shell \
	fits() { "$$1" -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $$2))" 2>/dev/null; }; \
	newest=99; command -v redis-server >/dev/null || command -v valkey-server >/dev/null || newest=12; \
	for most in $$newest 99; do \
		for python in python3 python3.12 python3.11 python3.10 python3.13 python3.14; do \
			if fits $$python $$most; then echo $$python; exit; fi; \
		done; \
	done)
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format docs dist up down reload e2e clean

help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed on PATH, or: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is older than Python 3.10, which is needed: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@echo "setting up $(VENV) with $$("$(PYTHON)" --version); this takes a minute, once" >&2
	@"$(PYTHON)" -m venv $(VENV)
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready ## a virtual environment in .venv

run: $(VENV)/.ready ## kong.yml on this machine, without Docker: gateway, FutureSMS stub, Redis
	@$(bin)/python -m kong.embedded.demo --kong-yml "$(KONG_YML)"

test: $(VENV)/.ready ## the whole test suite, with a real Redis server
	@$(bin)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

lint: $(VENV)/.ready ## ruff (lint and format) and mypy
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .
	@$(bin)/mypy

format: $(VENV)/.ready ## let ruff write what `make lint` asks for
	@$(bin)/ruff check --fix .
	@$(bin)/ruff format .

$(VENV)/.docs: $(VENV)/.ready
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## the documentation, into site/
	@$(bin)/python scripts/generate.py
	@NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict
	@$(bin)/python scripts/check_site.py site

dist: $(VENV)/.ready ## wheel and sdist into dist/, tried in a fresh virtual environment
	@$(bin)/python scripts/check_dist.py

COMPOSE ?= docker compose
# What the containers mount is read by other users than the one who cloned, whatever his umask.
up: ## the real Kong, with Docker: docker-compose.yml
	@chmod a+x . && chmod a+rx secrets && chmod -R a+rX "$(KONG_YML)" observability
	@[ ! -O .env ] || chmod go= .env
	@$(COMPOSE) config --quiet || { echo 'Compose cannot read .env, or docker-compose.yml, see above. A value with an unclosed' \
		'quote at its start, or an unclosed $${, goes into a file: secrets/futuresms-password becomes FUTURESMS_PASSWORD.' >&2; exit 1; }
	$(COMPOSE) build
	@# Before anything starts, and before anything that runs is replaced. What it says counts too: with Podman 4, Compose
	@# ends `run --rm` with 0, whatever the container did.
	@good=; said=$$($(COMPOSE) run --rm --no-deps -T check) && good=yes; printf '%s\n' "$$said"; \
		case "$$good $$said" in \
			'yes '*': 0 errors, '*) ;; \
			*) echo 'Nothing was started, and what runs goes on: kong.yml has not passed the check.' >&2; exit 1 ;; \
		esac
	$(COMPOSE) up --wait

down: ## stop it, with the services of every profile
	$(COMPOSE) --profile '*' down

reload: ## check kong.yml, load it into the gateway of `make up`, and show that it is
	@chmod a+r "$(KONG_YML)"
	@$(COMPOSE) exec -T kong reload

# The ports are those of docker-compose.yml; `make e2e PROXY_URL=… ADMIN_URL=… STUB_URL=…` tests another gateway.
PROXY_URL ?= http://127.0.0.1:8000
ADMIN_URL ?= http://127.0.0.1:8001
STUB_URL  ?= http://127.0.0.1:8080
# Kong as the stub calls it with delivery reports.
REPORTS_URL ?= $(if $(filter file,$(origin PROXY_URL)),http://kong:8000,$(PROXY_URL))
e2e: $(VENV)/.ready ## the acceptance suite against a gateway that runs: `make up` first
	@$(bin)/python -m pytest tests/acceptance \
		--proxy-url "$(PROXY_URL)" --admin-url "$(ADMIN_URL)" --stub-url "$(STUB_URL)" \
		--reports-url "$(REPORTS_URL)"

.PHONY: containers digests
# What the tags mean today, for .env: the same bytes tomorrow. `make digests >> .env`; again for an update.
ENGINE_IMAGES := KONG_IMAGE=kong:3.9 PYTHON_IMAGE=python:3.12-slim REDIS_IMAGE=redis:7.2-alpine PROMETHEUS_IMAGE=prom/prometheus:v3.5.0 ALERTMANAGER_IMAGE=prom/alertmanager:v0.28.1 GRAFANA_IMAGE=grafana/grafana:12.1.0 POSTGRES_IMAGE=postgres:16-alpine
digests: ## the base images by digest, from their registry, as lines for .env
	@set -e; for image in $(ENGINE_IMAGES); do \
		$(ENGINE) pull --quiet "$${image#*=}" >/dev/null; \
		echo "$${image%%=*}=$$($(ENGINE) image inspect --format '{{index .RepoDigests 0}}' "$${image#*=}")"; \
	done

ENGINE ?= docker
containers: $(VENV)/.ready ## image and compose file on an engine (ENGINE=podman), with faults and traffic; half an hour
	@$(bin)/python -m tests.packaging.containers --engine $(ENGINE)

.PHONY: bench soak
$(VENV)/.bench: $(VENV)/.ready
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

bench: $(VENV)/.bench ## the plugin server beside kong-pdk's, some minutes; writes docs/benchmarks.md and its plot
	@$(bin)/python -m bench --write

soak: $(VENV)/.ready ## an hour: 100 000 requests cut off, 100 000 cases of anything, 15 minutes of load and faults
	@$(bin)/python -m bench.soak
	@FUZZ=long $(bin)/python -m pytest -p no:logging tests/fuzz tests/faults/test_raising.py
	@FUZZ=long $(bin)/python -m pytest -n $(WORKERS) --timeout 3600 tests/unit tests/limits/test_redis.py
	@$(bin)/python -m pytest -m soak -s tests/faults

.PHONY: mutants
mutants: $(VENV)/.ready ## break each security-relevant line in turn: does a test notice? some minutes
	@$(bin)/python -m tests.mutation

.PHONY: busy
busy: $(VENV)/.ready ## the tests of faults and fidelity, twenty times beside eight busy loops on two cores; hours
	@$(bin)/python -m tests.busy

clean: ## remove what the other targets made
	rm -rf $(VENV) dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
