# Two commands do everything on a fresh machine: `make certify` and `make test`.
PYTHON ?= python3
TARGET ?= torch.optim.Adam
ARGS ?= --impl for-loop --impl foreach
BIN := .venv/bin

.PHONY: certify test lint benchmark figures

certify: .venv/ready
	$(BIN)/optim-verify certify $(TARGET) $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/mypy

benchmark: .venv/ready
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -n 0

# certificates of torch.optim, the worst ratios, and every run that the README shows
figures: .venv/ready
	$(BIN)/python reports/regenerate.py

# torch is pinned first, by plain pip: an unpinned one brings gigabytes
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@
