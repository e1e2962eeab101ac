# Two commands do everything on a fresh machine: `make certify` and `make test`; the others are for developers.
PYTHON ?= python3
TARGET ?= torch.optim.Adam
ARGS ?= --impl for-loop --impl foreach
BIN := .venv/bin

.PHONY: certify test lint benchmark figures packages

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

# optimizers that others have published, in an environment that shares torch with .venv
packages: .venv-packages/ready
	.venv-packages/bin/python -m pytest tests/packages

.venv-packages/ready: tests/packages/requirements.txt tests/packages/binding/requirements.txt .venv/ready
	$(BIN)/python -m venv .venv-packages
	$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > "$$(.venv-packages/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/shared.pth"
	.venv-packages/bin/python -m pip install --quiet --no-deps --requirement tests/packages/requirements.txt \
	  --requirement tests/packages/binding/requirements.txt
	touch $@
