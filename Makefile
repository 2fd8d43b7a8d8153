.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ready

help:
	@echo "make run    start everything with the embedded defaults and an operator prompt"
	@echo "make test   run the whole test suite"
	@echo "make check  ruff, mypy --strict, import layers"
	@echo "make bench  run the benchmarks and print their tables"
	@echo "make hooks  write the generated parts of docs/hooks.md"
	@echo "make venv   install everything, development tools included, in $(VENV)"

$(STAMP): pyproject.toml requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: install Python 3.11 or later"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, this is $$($(PYTHON) --version). Set PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "python3 has no venv: install it (Debian: apt-get install python3-venv)"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

venv: $(STAMP)

run: $(STAMP)
	@exec $(VENV)/bin/vtoc-bots run --prompt

test: $(STAMP)
	$(VENV)/bin/python -m pytest tests

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	$(VENV)/bin/python -m bench

hooks: $(STAMP)
	$(VENV)/bin/python -m vtoc_bots.scaffold.hook_reference docs/hooks.md

lock: $(STAMP)
	$(VENV)/bin/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements.txt pyproject.toml
	$(VENV)/bin/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra dev --extra otel --extra mcp --extra chatkit -o requirements-dev.txt pyproject.toml
	cp requirements-dev.txt requirements-image.txt
	$(VENV)/bin/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra mcp --extra chatkit -o requirements-image.txt pyproject.toml

.PHONY: help venv run test check bench hooks lock
