# The two commands that matter: `make demo` and `make test`. Each does all its own set-up.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
RUN := $(BIN)/python -m charrnn

.PHONY: demo test lint format docs clean

demo: .venv/installed
	$(RUN) demo
	@printf '\nTo have the command charrnn here:  . $(BIN)/activate\n\n'

test: .venv/tested lint
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

docs: .venv/installed
	$(BIN)/python docs/make_docs.py

clean:
	rm -rf .venv build dist *.egg-info
