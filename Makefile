# make book, make test: set up .venv from the pins if need be, then do it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
PROFILE ?= demo
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup book read pdf benchmark gpu test test-all test-machine lint mutants clean

setup: $(READY)

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[book,dev,slurm]"
	touch $@

# All chapters (of PROFILE, demo unless said otherwise), then the site that shows them beside the
# records that came with it.
book: $(READY)
	snakemake --jobs $(JOBS) --config profile=$(PROFILE) --quiet rules --rerun-incomplete --keep-going

# The site alone: the records that came with it, and what was run here. Nothing is computed.
read: $(READY)
	thermo book --jobs $(JOBS)

# The book as one PDF in _build/book.pdf: chromium prints the site, which has to be built before.
pdf: $(READY)
	python -m companion.pages.pdf

# Every method side by side on the chapters of PROFILE; the book's page on speed shows it.
benchmark: $(READY)
	OMP_NUM_THREADS=1 python -m benchmarks --profile $(PROFILE)

# What counting costs on a GPU. Without the set-up: it needs this repository and torch, no network.
gpu:
	$(PYTHON) -m benchmarks.gpu

test: $(READY)
	OMP_NUM_THREADS=1 pytest -n $(JOBS)

test-all: $(READY)
	OMP_NUM_THREADS=1 pytest -n $(JOBS) -m "slow or not slow"

# What asks more of the machine than Python: chromium, a file system of its own, a cluster.
test-machine: $(READY)
	OMP_NUM_THREADS=1 pytest -n0 -m "browser or machine" tests -rs

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

# Small changes to the code, one at a time: do the tests notice? Goes on where it was stopped.
mutants: $(READY)
	OMP_NUM_THREADS=1 python -m benchmarks.mutants

clean:
	rm -rf _build .snakemake mutants book/chapters book/generated book/runs results/.work results/demo
