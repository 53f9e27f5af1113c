# What CI runs and what a fresh checkout needs. Wants Python 3.11, 3.12 or 3.13 as `python3` (or PYTHON=…) and a network;
# everything else, uv included, is put into .tools and .venv.

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format bench spark focus focus-python clean

PYTHON ?= python3
# Whole files, in the order of tests/conftest.py; a worker that takes its next file is not behind by the longest one.
PYTEST_ARGS ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 1
UV_VERSION := 0.13.9

TOOLS := .tools
UV := $(TOOLS)/bin/uv
RUN := $(UV) run --frozen --no-sync
UV_STAMP := $(TOOLS)/uv-$(UV_VERSION)
SYNC_STAMP := .venv/synced
FOCUS_STAMP := $(TOOLS)/focus/synced

# A shim of pyenv is on PATH whether it leads to a Python or not, so each is tried.
PYTHON_3_12 ?= $(shell for each in python3.12 $$HOME/.pyenv/versions/3.12*/bin/python; do \
    "$$each" -c '' 2> /dev/null && command -v "$$each" && break; done)

# The Python is the one that is here: uv may not fetch another.
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV
# Each process would compile all that it imports again, for 5 to 10 s where it builds the warehouse.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SYNC_STAMP) ## Broker, events, stream, warehouse and report on this machine; the book is in tollbook-data/.
	$(RUN) tollbook demo

test: $(SYNC_STAMP) ## The tests, with a real Kafka, a real Flink and the built wheel; but for those of test-all.
	$(RUN) pytest $(PYTEST_ARGS)

test-all: $(SYNC_STAMP) ## All tests, those too that take minutes each.
	$(RUN) pytest $(PYTEST_ARGS) -m "slow or not slow"

# dbt compiles the models that sqlfluff reads, so its files get a place of their own.
lint: export TOLLBOOK_WAREHOUSE := $(CURDIR)/$(TOOLS)/lint
lint: export DBT_TARGET_PATH := $(CURDIR)/$(TOOLS)/lint/target
lint: export DBT_LOG_PATH := $(CURDIR)/$(TOOLS)/lint/logs
lint: $(SYNC_STAMP) ## Check style, types, SQL and the lock; changes nothing.
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	mkdir -p $(TOOLS)/lint
	$(RUN) sqlfluff lint --disable-progress-bar --processes 2 dbt_project
	$(UV) lock --check

format: $(SYNC_STAMP) ## Format the Python code and mend what ruff can mend.
	$(RUN) ruff format
	$(RUN) ruff check --fix

bench: $(SYNC_STAMP) ## Measure; needs minutes of a quiet machine. BENCH_ARGS='--only insight' measures a part.
	$(UV) run --frozen --group bench python tests/bench/run.py $(BENCH_ARGS)

# In an environment of its own, so that what is tested and linted elsewhere stays what a user has.
spark: export UV_PROJECT_ENVIRONMENT := $(TOOLS)/spark
spark: $(UV_STAMP) ## Let Spark read a lake and compare; fetches half a gigabyte, wants Java 17 or 21 on PATH.
	$(UV) run --frozen --python $(PYTHON) --group spark pytest tests/pipelines/warehouse/spark_chargeback.py

# FOCUS's own validators, in an environment of their own too.
focus: $(SYNC_STAMP) $(FOCUS_STAMP) ## Let FOCUS's validators read the exports of a real build; wants Python 3.12.
	$(RUN) pytest tests/pipelines/warehouse/exports/focus_validation.py

focus-python:
	@test -n "$(PYTHON_3_12)"

clean: ## Remove what make made; the book in tollbook-data/ stays.
	rm -rf $(TOOLS) .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .bench
	find pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(FOCUS_STAMP): $(UV_STAMP) pyproject.toml uv.lock
	@test -n "$(PYTHON_3_12)" || { echo "expected a Python 3.12, found none: make focus PYTHON_3_12=…" >&2; exit 2; }
	UV_PROJECT_ENVIRONMENT=$(TOOLS)/focus $(UV) sync --frozen --only-group focus --python $(PYTHON_3_12)
	touch $@

$(UV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	    echo "expected $(PYTHON) to be Python 3.11, 3.12 or 3.13, got: $$($(PYTHON) --version 2>&1)." \
	         "Name another: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

$(SYNC_STAMP): $(UV_STAMP) pyproject.toml uv.lock
	$(UV) sync --frozen --python $(PYTHON)
	touch $@
