# One verb a task. `make demo` and `make test` set up what they need; nothing else has to be typed.
PYTHON ?= python3
SEEDS ?= 20
BIN := .venv/bin

.PHONY: demo test lint setup clean

demo: setup
	$(BIN)/selfdistill compare --limit 60 --epochs 60 --batch-size 20 --first-seed 200 --seeds $(SEEDS) \
		--out runs/demo --workers 2 $(DEMO)

test: setup lint
	$(BIN)/pytest -n 2

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "selfdistill needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv runs
