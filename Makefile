# Two commands do everything on a fresh machine with Python 3.11+, make and a package index:
#   make demo   plays a whole trading day
#   make test   lint, types, import rules and all tests
PYTHON ?= python3
VENV := .venv
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint bench calendars prefect-template clean

help: ## Show the commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# Byte-code is compiled once, here, because it halves the start of every process.
SYNC = $(UV) sync --frozen --quiet --inexact --compile-bytecode

$(UV):
	@$(PYTHON) -m venv $(VENV)
	@$(RUN)pip install --quiet --disable-pip-version-check uv

$(VENV)/.runs: pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv ..."
	@$(SYNC) --no-dev
	@touch $@

$(VENV)/.develops: pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv for development ..."
	@$(SYNC)
	@touch $@ $(VENV)/.runs

install: $(VENV)/.develops ## Set up the environment in .venv, development tools included.

demo: $(VENV)/.runs ## Play a whole trading day on a simulated exchange.
	@$(RUN)ouroboros demo $(ARGS)

lint: install
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

check: lint ## Lint, types and import rules.

test: lint ## Everything that must pass.
	$(RUN)pytest -n 2 --dist loadfile $(ARGS)

bench: install ## Benchmarks, compared in one run.
	$(RUN)pytest benchmarks -o python_files='bench_*.py' --benchmark-only --benchmark-columns=min,median,max,rounds $(ARGS)

calendars: install ## Rebuild the session tables that come with the program.
	$(RUN)python -c "from trading_core.adapters.session_cache import ship; from trading_core.model.market import MarketGroup; [ship(g) for g in MarketGroup]"

prefect-template: install ## Rebuild the empty Prefect database that the demo starts from.
	$(RUN)python -c "from flows.prefect_server import make_template; make_template()"

clean: ## Remove the environment and caches.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
