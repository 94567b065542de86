# Everything a newcomer types. The environment is made on first use, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
DEV := $(VENV)/.made-dev

.PHONY: demo demo-search test test-slow test-slurm lint format bench docs clean

demo: $(MADE) ## build the environment, run the demo, print the report's path
	$(BIN)/syntype demo

demo-search: $(MADE) ## draw a collection, and serve a page to search it
	$(BIN)/syntype demo --search

test: $(DEV) ## the default tests, in parallel; one thread each, as two processes share two processors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not slurm"

test-slow: $(DEV) ## the slower tests, which the default leaves out
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

test-slurm: $(DEV) ## a sweep on a SLURM of one node: apt-get install --no-install-recommends slurm-wlm munge
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slurm -rP

lint: $(DEV) ## ruff, mypy, spelling, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md LOG.md docs src
	$(BIN)/python docs/generate.py --check

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## every benchmark, each beside its peer
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(DEV) ## write the generated pages of docs/reference
	$(BIN)/python docs/generate.py

$(MADE): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("syntype needs Python 3.11 or newer; name one with: make demo PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -e .
	touch $(MADE)

$(DEV): $(MADE)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $(DEV)

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
