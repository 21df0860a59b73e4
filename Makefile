# Everything runs from an empty machine: the virtual environment is made when it is not there or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DEVELOPED := $(VENV)/developed

.PHONY: demo test lint docs bench clean help

help:
	@echo "make demo   install, then train on the sample data: tomorrow's rate, a post's theme, a text"
	@echo "make test   run the tests        make lint   check style, types and imports"
	@echo "make docs   write docs/cli.md    make bench  measure, beside the peers (long)"
	@echo "make clean  remove what these made"

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt $(VENV)/made
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(DEVELOPED): pyproject.toml constraints.txt $(VENV)/made
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/seqcli train-forecast --quick --out demo/fx --overwrite --format table
	$(BIN)/seqcli forecast demo/fx --pair USD/JPY --pair EUR/USD --format table
	$(BIN)/seqcli train-classifier sample_data/posts.csv --out demo/topics --overwrite --format table
	$(BIN)/seqcli classify demo/topics 昨日の焼肉は最高だった --explain --format table
	$(BIN)/seqcli train-generator sample_data/letters.txt --out demo/writer --overwrite --format table
	$(BIN)/seqcli generate demo/writer --prompt 兄さん --length 100 --seed 1 --format table

test: $(DEVELOPED)
	$(BIN)/python -m pytest -n 2

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

bench: $(INSTALLED)
	benchmarks/run.sh

clean:
	rm -rf $(VENV) .venv-peers demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
