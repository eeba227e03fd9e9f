# Needs Python 3.11 or newer, git and make; everything else goes into .venv, made at the first call.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where images of containers switch it off, every process that a test starts would compile the whole program anew.
export PYTHONDONTWRITEBYTECODE :=
WORKERS ?= 2
# What draws fates or kills daemons by the dozen: a bounded share of each, told beside the others (make slow).
SLOW := $(addprefix tests/scenario/,chaos sim soak crash)
TESTS ?= tests $(addprefix --ignore=,$(SLOW))

CRASHES ?= 1000
SEEDS ?= 1000
TASKS_SOAKED ?= 2000
REAL_SOAKED ?= 60

.PHONY: screenshots help demo test slow check bench performance reliability bench-train crash chaos sim soak mutants docs install clean

help:
	@echo "make demo   run the whole line on a small sample repository, and prove the result"
	@echo "make test   run every test but the slow ones (TESTS=path for some of them)"
	@echo "make slow   run the bounded shares of chaos, sim, soak and crash: a quarter of an hour"
	@echo "make check  lint, format, types, layers"
	@echo "make bench  run every benchmark and print its figures"
	@echo "make performance  the same, and write docs/performance.md anew"
	@echo "make reliability  run every test and write docs/reliability.md anew, with what crash, chaos, sim, mutants and soak left"
	@echo "make bench-train  play the merge train on a virtual clock against the plain lease (FULL=1 for the whole table, half an hour)"
	@echo "make crash  kill the daemon CRASHES=$(CRASHES) times at random places, and judge what is left (SEED=n repeats a run)"
	@echo "make chaos  tell one story with SEEDS=$(SEEDS) fates of its webhooks: the end must be the same"
	@echo "make sim    let fate loose on the whole daemon in SEEDS=$(SEEDS) worlds on virtual time: every guarantee must hold"
	@echo "make soak   take TASKS_SOAKED=$(TASKS_SOAKED) tasks to their end on virtual time and REAL_SOAKED=$(REAL_SOAKED) through a real daemon: nothing may grow"
	@echo "make mutants  switch each safeguard off on a copy of the tree: a test must notice"
	@echo "make screenshots  take docs/images anew of made-up data (needs chromium; PICTURES='board task' for some of them)"
	@echo "make docs   write docs/stages.md, docs/messages.md and docs/failpoints.md anew from the code"

demo: $(STAMP)
	@$(BIN)/orch demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(TESTS)

slow:
	@$(MAKE) --no-print-directory test TESTS="$(SLOW)"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	@set -e; for file in tests/bench/bench_*.py; do \
		[ -e "$$file" ] || { echo "no benchmarks in tests/bench"; exit 1; }; \
		name=$$(basename "$$file" .py); echo "== $$name"; $(BIN)/python -m "tests.bench.$$name"; \
	done

performance: bench
	@$(BIN)/python -m tests.bench.table

reliability: $(STAMP)
	@$(BIN)/python -m tests.reliability --workers $(WORKERS)

bench-train: $(STAMP)
	@$(BIN)/python -m tests.bench.bench_train $(if $(FULL),--full)

crash: $(STAMP)
	@$(BIN)/python -m tests.scenario.crash --crashes $(CRASHES) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))

chaos: $(STAMP)
	@$(BIN)/python -m tests.scenario.chaos --seeds $(SEEDS) --workers $(WORKERS)

sim: $(STAMP)
	@$(BIN)/python -m tests.scenario.sim --seeds $(SEEDS) --workers $(WORKERS)

soak: $(STAMP)
	@$(BIN)/python -m tests.scenario.soak --tasks $(TASKS_SOAKED) --real $(REAL_SOAKED)

mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants

screenshots: $(STAMP)
	@$(BIN)/python -m tests.screenshots $(PICTURES)

docs: $(STAMP)
	@$(BIN)/python -m tests.architecture.generate

install: $(STAMP)

$(STAMP): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "no Python 3.11 or newer found: install one, or run make PYTHON=/path/to/python"; exit 1; }
	@echo "making $(VENV) with $(PYTHON) …"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) -m venv failed: install the venv module of this Python (on Debian: apt install python3-venv)"; exit 1; }
	@echo "updating pip …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@echo "installing Orch and its tools (a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
	@echo "installed."

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench .proof dist build
