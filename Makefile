# The five verbs: setup, check, test, quickstart, docs. Each works in a fresh clone; none needs root,
# Docker, a GPU or a model hub.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pareto_prune tests benchmarks

export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup check format test test-fast lowest quickstart docs pictures clean

help:
	@echo "make setup       .venv with everything that development needs"
	@echo "make check       ruff, mypy strict, import-linter"
	@echo "make test        the whole suite (15 minutes at most on 2 cores)"
	@echo "make test-fast   what one runs while working (2 minutes)"
	@echo "make lowest      the whole suite with the oldest packages that pyproject.toml allows"
	@echo "make quickstart  the main job on real text: a Pareto front of a real BERT in 12 minutes"
	@echo "make docs        the command line's reference from its own help"
	@echo "make pictures    the README's picture of the front that make quickstart found"

setup: $(VENV)/.dev

check: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/.dev
	$(BIN)/pytest -n 2 -m "not slow and not demo"

# Old packages use what newer ones say will go, and leave files open.
lowest: $(LOWEST)/.test
	$(LOWEST)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder \
		-W default::DeprecationWarning -W default::FutureWarning -W default::ResourceWarning

quickstart: $(VENV)/.demo
	$(BIN)/pareto-prune run studies/quickstart.toml

docs: $(VENV)/.dev
	$(BIN)/python docs/make_reference.py

pictures: $(VENV)/.dev
	$(PIP) -e '.[pictures]'
	$(BIN)/python docs/make_pictures.py quickstart

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (a few minutes the first time) …"
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (a few minutes the first time) …"
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(LOWEST)/.test: pyproject.toml tests/lowest.py
	@echo "Installing into $(LOWEST) (a few minutes the first time) …"
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(LOWEST)/constraints.txt -e '.[test]'
	@touch $@
