# `make book` and `make test` need nothing but Python 3.11+ and make.
# The first run creates .venv; later runs reuse it until a dependency changes.

PYTHON ?= python3
EXTRAS := lab,sweep,course,test,book
BIN := .venv/bin

# Notebooks run in the kernel of .venv, whatever else is installed for the user.
export JUPYTER_PREFER_ENV_PATH := 1
unexport JUPYTER_PATH
unexport PYTHONPATH

.PHONY: help book pdf links test lint notebooks pins clean
.DELETE_ON_ERROR:

help:
	@echo "make book       build the book: _build/html/index.html"
	@echo "make test       run unit tests, doctests and notebooks"
	@echo "make pdf        print the built book: _build/rich-and-lazy.pdf"
	@echo "make links      try the links to other hosts (needs a network)"
	@echo "make lint       check formatting, style and the form of the notebooks"
	@echo "make notebooks  bring notebooks into canonical form, renew the students' copies"
	@echo "make pins       renew constraints.txt with the newest releases"
	@echo "make clean      remove what was built (keeps .venv)"

# A build with warnings is not taken as finished: the next one reads every page again,
# because Sphinx repeats a warning only for the pages that it reads. And it copies styles and
# scripts only if it has a page to write.
book: .venv/.ready
	@test -e _build/.finished || rm -rf _build/.doctrees
	@test -z "$$(find book/_static -newer _build/.finished 2>/dev/null)" || touch book/costs.md
	@rm -f _build/.finished
	$(BIN)/python tools/vendor.py
	$(BIN)/python $(BIN)/jupyter-book build . -n -W --keep-going </dev/null
	@touch _build/.finished

pdf: book
	$(BIN)/python tools/pdf.py

links: .venv/.ready
	$(BIN)/python $(BIN)/jupyter-book build . --builder linkcheck </dev/null

# nbval runs every notebook, and compares the output of cells marked NBVAL_CHECK_OUTPUT; those that
# `make book` ran with the same code and library are not run again (notebooks/conftest.py).
# Files of tests run side by side, one to a core, so that each process gets by with one.
# An empty standard input, because pytest breaks on a closed one.
test: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
	    --nbval-lax --nbval-current-env tests richlib \
	    notebooks/foundations notebooks/experiments </dev/null

lint: .venv/.ready
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python tools/notebooks.py --check
	$(BIN)/python tools/coursework.py --check

notebooks: .venv/.ready
	$(BIN)/python tools/notebooks.py
	$(BIN)/python tools/coursework.py

# A new environment without constraints: what pip chooses there today is what gets pinned.
# Use the oldest Python at hand (make pins PYTHON=...): a newer one gets releases that the
# older cannot install.
pins:
	$(PYTHON) -m venv --clear _build/pins
	_build/pins/bin/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	grep '^#' constraints.txt > _build/pins/constraints.txt
	_build/pins/bin/python -m pip freeze --all --exclude pip --exclude richlib \
	    | sed 's/+cpu$$//' >> _build/pins/constraints.txt
	mv _build/pins/constraints.txt constraints.txt
	rm -rf _build/pins

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache .hypothesis .coverage
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp holds the folder it was made in: a moved or copied checkout installs itself anew.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "richlib needs Python 3.11 or newer; $(PYTHON) is older or missing."; \
	    echo "Name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	    echo "$(PYTHON) cannot create environments."; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[$(EXTRAS)]"
	@echo "$(CURDIR)" > $@
