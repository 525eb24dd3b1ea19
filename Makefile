# Two commands matter to a new user: `make demo` and `make test`. Both install what they need.
#
#   PYTHON            interpreter for the virtual environment (3.11 or newer)
#   VENV              where it goes
#   TORCH_INDEX_URL   an index that holds CPU builds of torch, where the default one gives CUDA
#                     (see the README); unset by default
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX_URL ?=

PIP = $(VENV)/bin/python -m pip
BIN = $(VENV)/bin
INDEX = $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-all test-web check bench docs train-default clean

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f"{sys.executable} is Python {v[0]}.{v[1]}; Celloquy needs 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --editable '.[plot]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet $(INDEX) --editable '.[all,test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.web-test: $(VENV)/.test
	$(PIP) install --quiet $(INDEX) --editable '.[all,test,web-test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	$(PIP) install --quiet $(INDEX) --editable '.[all,test,check]'
	@touch $@

## The three jobs on real cells; leaves pictures and an annotated .h5ad in demo-output/.
demo: $(VENV)/.demo
	$(BIN)/celloquy demo --output demo-output

## The fast tests, with everything they need installed and fetched.
test: $(VENV)/.test
	$(BIN)/celloquy data fetch core demo models literature
	$(BIN)/celloquy kg build
	$(BIN)/python -m pytest -m 'not slow and not web'

## Also the heavy ones.
test-all: $(VENV)/.test
	$(BIN)/celloquy data fetch core demo models literature
	$(BIN)/celloquy kg build
	$(BIN)/python -m pytest -m 'not web'

## The page in a real browser (a chromium on the PATH) and its API under random requests.
test-web: $(VENV)/.web-test
	$(BIN)/celloquy data fetch core demo literature
	$(BIN)/celloquy kg build
	$(BIN)/celloquy index stats > /dev/null 2>&1 || $(BIN)/celloquy index build --words-only
	$(BIN)/python -m pytest -m web

## Lint, types, layers, and that generated documentation is current.
check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

## Timings beside the field's tools, measured in one run.
bench: $(VENV)/.test
	$(BIN)/celloquy data fetch core demo models literature
	$(BIN)/celloquy kg build
	$(BIN)/python -m tests.benchmarks

## Rewrite the generated parts of the README and of docs/.
docs: $(VENV)/.test
	$(BIN)/python docs/generate.py

## Train the shipped projector and adapter again; DATA=FOLDER adds its real cells.
train-default: $(VENV)/.test
	$(BIN)/celloquy data fetch core models
	$(BIN)/celloquy kg build
	$(BIN)/celloquy train align -o data/weights/llm $(if $(DATA),--data $(DATA))
	$(BIN)/celloquy train instruct --aligned data/weights/llm -o instructed $(if $(DATA),--data $(DATA))
	mkdir -p data/weights/llm/lora && cp instructed/lora/* data/weights/llm/lora/

clean:
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
