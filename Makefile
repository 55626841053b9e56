# Each target does its own set-up: a fresh machine needs Python 3.11 or newer and make, nothing else.
#
#   make serve      the service on 127.0.0.1:8000 with the shipped bundles (HOST=, PORT= change that)
#   make test       the fast tests            make test-slow  the rest            make test-all  both
#                     FLOOR=90 also measures the coverage, and fails below it
#                                             SHARE=2/3 takes every third network of the matrix
#   make lint       format, lint, types, import direction                         make format    mend what can be
#   make readme     write the README's tables anew
#   make setup      only the environment in .venv, by the versions of constraints.txt

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 2
SHARE ?= 1/1

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Two test processes share the machine; each keeps to one thread. The service takes all there are.
test test-slow test-all: export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: help setup serve test test-slow test-all lint format readme clean

help:
	@sed -n '3,8s/^# *//p' Makefile

setup: $(STAMP)

# Made again only when the project's requirements change, so a second call installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "maskzoo needs Python 3.11 or newer, and no python3 is on the PATH: install it, or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "maskzoo needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1): say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV) || { echo "$(PYTHON) could not make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

serve: $(STAMP)
	$(BIN)/maskzoo serve --host $(HOST) --port $(PORT)

test: $(STAMP)
	$(PYTEST) -m "not slow" $(if $(FLOOR),--cov --cov-fail-under=$(FLOOR))

test-slow: $(STAMP)
	$(PYTEST) -m slow --share $(SHARE)

test-all: $(STAMP)
	$(PYTEST)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layering.py

readme: $(STAMP)
	$(BIN)/python tools/tables.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
