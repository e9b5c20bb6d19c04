# Everything sets itself up in .venv; `make test` works on a fresh machine with Python 3.11 to 3.13.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help demo setup test lint format bench clean

help:
	@echo "make demo    a house made here, a specialised model, a report (about 12 minutes)"
	@echo "make test    run the tests"
	@echo "make lint    ruff and mypy, warnings are errors"
	@echo "make bench   speed of a pre-training step and of the renderer, beside the machine's"
	@echo "make format  let ruff mend what it can"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/tst demo

test: $(READY)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/pretrain_step.py
	$(BIN)/python benchmarks/render.py

clean:
	rm -rf $(VENV)
	find src -name '*.nb[ic]' -delete
