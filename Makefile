# make demo, make test: everything they need goes into .venv; nothing else on the machine is changed.
# A second run installs again only when the sources or pyproject.toml have changed.

PYTHON ?= python3
VENV := .venv
PACKAGES := $(patsubst %/__init__.py,%,$(wildcard */__init__.py))
MODULES := __init__.py __init__.pyi __main__.py exceptions.py py.typed
SOURCES := $(MODULES) pyproject.toml meson.build README.md LICENSE \
    $(shell find $(PACKAGES) -name __pycache__ -prune -o \( -type d -o -type f \) -print)

# The build tools of .venv are found by name.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test examples tests test-all test-dist test-bench lint docs bench dist readme clean

help:
	@echo "make demo      fit real data with every installed backend; a figure in demo/"
	@echo "make test      the tests and the documentation's examples"
	@echo "make test-all  the same with the tests that take minutes"
	@echo "make test-dist the sdist and the wheel built from it"
	@echo "make test-bench one point of every solver in every benchmark"
	@echo "make lint      ruff, mypy, cython-lint"
	@echo "make docs      the documentation, in docs/_build/html"
	@echo "make bench     the benchmarks against other packages (PROBLEM=lasso, presto, ...)"
	@echo "make dist      an sdist, and a wheel built from it, in dist/"
	@echo "make readme    the tables of README.md, after a new estimator or backend"
	@echo "make clean     remove .venv and everything that was built"

demo: $(VENV)/.with-demo
	python -P docs/demo.py --output demo

test: examples tests

# The examples of the docstrings run on what is installed. Those of the guide run as copies: above them pytest would take
# a checkout that is called like the package for the package.
examples: $(VENV)/.with-test
	cd $(VENV) && python -P -m pytest -p no:cacheprovider --doctest-modules --pyargs estimand
	rm -rf $(VENV)/examples && mkdir $(VENV)/examples && cp -r README.md docs/*.rst docs/user_guide $(VENV)/examples
	cd $(VENV)/examples && python -P -m pytest -c /dev/null --rootdir=. --confcutdir=. -p no:cacheprovider \
	    --doctest-glob="*.rst" --doctest-glob=README.md

tests: $(VENV)/.with-test
	python -P -m pytest tests -m "not slow"

test-all: $(VENV)/.with-dev examples
	python -P -m pytest tests

# The sdist, and the wheel that is built from it, looked into and installed.
test-dist: $(VENV)/.with-dev
	python -P -m pytest tests/packaging/test_distribution.py

# One point of every solver in every benchmark.
test-bench: $(VENV)/.with-test $(VENV)/.with-bench
	python -P -m pytest tests/packaging/test_benchmarks.py

# mypy wants a folder that is called like the package. Its parts are linked one by one, because a link to the whole
# checkout would lead into itself.
lint: $(VENV)/.with-dev
	ruff check .
	ruff format --check .
	cython-lint cython_ext
	rm -rf build/typing && mkdir -p build/typing/estimand
	for part in $(MODULES) $(PACKAGES); do ln -s ../../../$$part build/typing/estimand/$$part; done
	mypy -p estimand

docs: $(VENV)/.with-docs
	python -P -m sphinx -q -W --keep-going -b html docs docs/_build/html

PROBLEM ?= lasso
bench: $(VENV)/.with-bench
	benchopt run benchmarks/$(PROBLEM) --no-plot
	if test -f benchmarks/$(PROBLEM)_statistics.py; then python -P benchmarks/$(PROBLEM)_statistics.py --n-jobs 2; fi

dist: $(VENV)/.with-dev
	rm -rf dist
	python -P -m build

readme: $(VENV)/.with-docs
	python -P docs/extensions/tables.py

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/auto_examples docs/api docs/user_guide/backends.inc

# A regular install with one of the extras of pyproject.toml; meson keeps its objects, so that only what has changed is
# compiled again.
$(VENV)/.with-%: $(VENV)/.build-tools $(SOURCES)
	@echo "Installing estimand[$*] into $(VENV) ..."
	@python -m pip install -q --no-build-isolation --config-settings=build-dir=$(VENV)/build ".[$*]"
	@touch $@

define BUILD_REQUIREMENTS
import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "ninja", sep="\n")
endef

# Without build isolation a peer that comes as an sdist finds its setuptools here, which since 70.1 can build wheels.
EXTRA_BUILD_TOOLS := "setuptools>=70.1"

$(VENV)/.build-tools: pyproject.toml
	@$(CHECK_MACHINE)
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@python -c '$(BUILD_REQUIREMENTS)' > $(VENV)/build-requirements.txt
	@python -m pip install -q -r $(VENV)/build-requirements.txt $(EXTRA_BUILD_TOOLS)
	@touch $@

define CHECK_MACHINE
missing() { \
    echo "$$1" >&2; \
    echo "  Debian, Ubuntu:  apt-get install $$2" >&2; \
    echo "  Fedora:          dnf install $$3" >&2; \
    exit 1; \
}; \
command -v $(PYTHON) > /dev/null \
    || missing "$(PYTHON) is not installed." "python3 python3-venv python3-dev gcc" "python3 python3-devel gcc"; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || missing "$(PYTHON) is $$($(PYTHON) -V 2>&1), estimand needs at least 3.11: make PYTHON=python3.12, or" \
        "python3.12 python3.12-venv python3.12-dev" "python3.12 python3.12-devel"; \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
    || missing "$(PYTHON) cannot make virtual environments." "python3-venv" "python3"; \
test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
    || missing "The headers of $(PYTHON) (Python.h) are not installed." "python3-dev" "python3-devel"; \
command -v "$${CC:-cc}" > /dev/null || command -v gcc > /dev/null || command -v clang > /dev/null \
    || missing "There is no C compiler." "gcc libc6-dev" "gcc"
endef
