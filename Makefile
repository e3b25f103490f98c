# Two commands do everything on a fresh machine with Python 3.11+, make and a package index:
#   make demo   plays a whole trading day
#   make test   lint, types, import rules and all tests
PYTHON ?= python3
VENV := .venv
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/

.DEFAULT_GOAL := help
.PHONY: help install demo test crash mutants check lint bench calendars prefect-template clean

help: ## Show the commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# Byte-code is made once, here, because it halves the start of every process: for a demo that of
# the modules it imports, for development that of everything.
SYNC = $(UV) sync --frozen --quiet --inexact
IMPORT = env -u PYTHONDONTWRITEBYTECODE $(RUN)python -c

$(UV):
	@$(PYTHON) -m venv $(VENV)
	@$(RUN)pip install --quiet --disable-pip-version-check uv

$(VENV)/.runs: pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv ..."
	@$(SYNC) --no-dev
	@$(IMPORT) "import prefect.server.api.server as server, uvicorn; server.create_app()" & \
	$(IMPORT) "import flows.demo, flows.trading_day, trading_core.twin.launch, polars"; wait
	@touch $@

$(VENV)/.develops: pyproject.toml uv.lock | $(UV)
	@echo "setting up .venv for development ..."
	@$(SYNC) --compile-bytecode
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

crash: install ## Kill the trader again and again and audit its books (500 schedules, ~1.5 h).
	$(RUN)python -m tests.crash --schedules $(or $(N),500) $(ARGS)

mutants: install ## Take every safety rule out once and see its tests fail (~4 min of CPU).
	$(RUN)python -m tests.mutations $(ARGS)

bench: install ## Benchmarks, compared in one run.
	$(RUN)pytest benchmarks -o python_files='bench_*.py' --benchmark-only --benchmark-columns=min,median,max,rounds $(ARGS)

calendars: install ## Rebuild the session tables that come with the program.
	$(RUN)python -c "from trading_core.adapters.session_cache import ship; from trading_core.model.market import MarketGroup; [ship(g) for g in MarketGroup]"

prefect-template: install ## Rebuild the empty Prefect database that the demo starts from.
	$(RUN)python -c "from flows.prefect_server import make_template; make_template()"

clean: ## Remove the environment and caches.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
