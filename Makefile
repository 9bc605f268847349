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
	$(RUN) corpus python --output .demo/python.txt --force
	$(RUN) train .demo/python.txt --out .demo --name python --force --time-budget 100s
	for temperature in 0.5 0.8 1.1; do \
	  printf '\n\033[1mtemperature %s\033[0m\n' $$temperature; \
	  $(RUN) sample .demo/python --temperature $$temperature --length 400 --prime "def " --seed 1 || exit 1; echo; \
	done
	$(RUN) inspect .demo/python charrnn/checkpoints/run_folder.py
	@printf '\nNow with a text of your own:\n\n  $(BIN)/charrnn train YOUR.txt\n  $(BIN)/charrnn sample YOUR\n  $(BIN)/charrnn inspect YOUR\n\n'

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
	rm -rf .venv .demo build dist *.egg-info
