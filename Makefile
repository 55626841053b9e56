# Every target sets up its environment first: all you need is Python 3.11 or newer and make.
#
#   make serve      run the service on 127.0.0.1:8000 with the shipped bundles (HOST= and PORT= change that)
#   make up         run the service in a container, on the GPU if docker can use one
#   make test       run the fast tests; WORKERS=4 for more processes
#                   FLOOR=90 also measures coverage and fails below 90 %
#   make test-slow  run the slow tests; SHARD=2/3 runs one third of the matrix
#   make test-all   run both
#   make test-random  run the fast tests in random order; SEED=2 for another order
#   make gpu        test and measure a GPU; GPU_PYTHON=python3 takes an environment that is there
#   make lint       check format, lint, types and import directions
#   make format     fix format and lint where that can be automated
#   make readme     regenerate the tables in README.md and docs/zoo.md
#   make setup      only create the environment in .venv, with the versions of constraints.txt

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 2
SHARD ?= 1/1
SEED ?= 1

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Each test process uses one thread, because WORKERS of them run at once. The service uses all cores.
test test-slow test-all test-random: export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)
# What the tests of a file share is made once if they run in one process. The slow tests are few and
# long, so they are dealt out one by one.
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: help setup serve up test test-slow test-all test-random gpu lint format readme clean

help:
	@sed -n '3,14s/^# \{0,3\}//p' Makefile

setup: $(STAMP)

# Rebuilt only when the project's requirements change, so a second call installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "maskzoo needs Python 3.11 or newer, but there is no python3 on the PATH: install it or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "maskzoo needs Python 3.11 or newer, but $(PYTHON) is $$("$(PYTHON)" --version 2>&1): run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV) || { echo "$(PYTHON) could not create a virtual environment; on Debian, run apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

serve: $(STAMP)
	$(BIN)/maskzoo serve --host $(HOST) --port $(PORT)

# Docker knows the runtime where NVIDIA's toolkit is set up; nvidia-smi lists a device where the driver works.
up:
	@if nvidia-smi -L 2>/dev/null | grep -q GPU && docker info 2>/dev/null | grep -qi nvidia; then profile=gpu; else profile=cpu; fi; \
	if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi; \
	echo "$$compose --profile $$profile up"; COMPOSE_PROFILES=$$profile $$compose up

test: $(STAMP)
	$(PYTEST) $(BY_FILE) -m "not slow" $(if $(FLOOR),--cov --cov-fail-under=$(FLOOR))

test-slow: $(STAMP)
	$(PYTEST) -m slow --shard $(SHARD)

test-all: $(STAMP)
	$(PYTEST)

# Files and the tests in each are shuffled; the tests with a browser stay last.
test-random: $(STAMP)
	$(PYTEST) $(BY_FILE) -m "not slow" --random-order --random-order-seed=$(SEED)

# Only the files with tests of a GPU are collected: a machine that is lent for it may lack what others need.
# Warnings of its versions of the libraries are shown, and are no errors there. The measurement follows
# even if a test fails.
GPU_PYTHON ?= $(BIN)/python
gpu: export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(STAMP))
	@$(GPU_PYTHON) -m pytest -n 0 -q -m gpu -W default $$(grep -rl --include='test_*.py' 'mark\.gpu' tests); \
	code=$$?; $(GPU_PYTHON) benchmarks/gpu.py $(if $(OUT),--out $(OUT)) && exit $$code

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
