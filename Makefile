# `make demo` shows what the project is for, `make test` runs its tests; both install all that they need into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUBS := .venv-stubs/bin
CODE := index server client tests proto/generate.py requirements/install.py
# Locked with hashes in requirements/lock-venv.txt; other EXTRAS, or LOCKED=no, are installed as pip chooses.
LOCKED_EXTRAS := server,cpu,postgres,calibration,demo,tracing,dev
EXTRAS ?= $(LOCKED_EXTRAS)
export LOCKED ?= $(if $(filter $(LOCKED_EXTRAS),$(EXTRAS)),yes,no)
FLOOR_EXTRAS := server,cpu,postgres,calibration

.PHONY: help venv demo test check format stubs check-stubs check-floor evidence bench bench-gpu crash soak fuzz lock audit clean

help: ## Say what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/ready: pyproject.toml requirements/lock-venv.txt requirements/install.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'ersgallery needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'this Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python requirements/install.py requirements/lock-venv.txt 3.14 --project -- --editable '.[$(EXTRAS)]' || \
		{ echo 'the packages above could not be installed: that takes the network once, and ready-made wheels for this'; \
		  echo 'Python and system (no compiler is needed where there are some); try another one: make PYTHON=python3.12,'; \
		  echo 'or make LOCKED=no, which takes what pip chooses and checks no hashes'; \
		  exit 1; }
	touch $@

venv: $(VENV)/ready ## Make the virtual environment .venv with everything in it.

demo: $(VENV)/ready ## Enrol, identify and reject real faces, and write build/demo/index.html.
	$(BIN)/python -m tests.demo $(ARGS)

evidence: $(VENV)/ready ## Measure everything in docs/evidence.md again; needs ERSGALLERY_TEST_DATA.
	$(BIN)/python -m tests.evidence $(ARGS)

$(VENV)/bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary --editable '.[bench]'
	touch $@

bench: $(VENV)/bench ## Measure speed beside other engines and the machine's limits; writes docs/benchmarks.md.
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-gpu: $(VENV)/ready ## The same on a GPU; needs EXTRAS=server,gpu,calibration.
	$(BIN)/python -m tests.benchmarks --only gpu $(ARGS)

crash: $(VENV)/ready ## Kill the server 210 times under load and check that nothing is lost; 20 minutes.
	$(BIN)/python -m tests.crash $(ARGS)

soak: $(VENV)/ready ## Load the server for an hour and see that nothing grows; ARGS=overload, slow, rolling, or "soak --minutes 10".
	$(BIN)/python -m tests.load $(or $(ARGS),soak)

fuzz: $(VENV)/ready ## Attack everything that parses; ARGS="--minutes 240" for hours.
	$(BIN)/python -m tests.fuzz $(ARGS)

test: $(VENV)/ready ## Run the tests.
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/ready check-stubs ## Check format, lint, types, imports and stubs.
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/ready ## Format the code.
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

.venv-stubs/ready: requirements/stubs.txt requirements/lock-stubs.txt
	$(PYTHON) -m venv .venv-stubs
	$(STUBS)/python requirements/install.py requirements/lock-stubs.txt 3.13 -- --requirement requirements/stubs.txt
	touch $@

stubs: .venv-stubs/ready ## Regenerate the stubs from the .proto files.
	$(STUBS)/python proto/generate.py

check-stubs: .venv-stubs/ready $(VENV)/ready
	$(STUBS)/python proto/generate.py --check --image build/ersgallery.binpb
	$(BIN)/buf lint build/ersgallery.binpb --config buf.yaml

.venv-floor/ready: requirements/floor.txt requirements/lock-floor.txt pyproject.toml
	$(PYTHON) -m venv .venv-floor
	.venv-floor/bin/python requirements/install.py requirements/lock-floor.txt 3.12 --project -- \
		--constraint requirements/floor.txt --editable '.[$(FLOOR_EXTRAS)]' --requirement requirements/floor-tests.txt
	touch $@

check-floor: .venv-floor/ready ## Run the quick tests with the oldest supported libraries.
	.venv-floor/bin/python -m pytest $(ARGS) -m 'not real_faces' tests/unit/index tests/unit/client tests/unit/server \
		tests/integration/server

.venv-tools/ready: requirements/tools.txt
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/tools.txt
	touch $@

# One lock serves all its systems and versions of Python: packages that differ have markers.
UV_LOCK := .venv-tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --upgrade
comma := ,
extras = $(addprefix --extra ,$(subst $(comma), ,$(1)))

lock: .venv-tools/ready ## Choose the newest packages and write their hashes to requirements/lock-*.txt; needs the network.
	$(UV_LOCK) $(call extras,$(LOCKED_EXTRAS)) pyproject.toml requirements/build.txt \
		--output-file requirements/lock-venv.txt
	$(UV_LOCK) requirements/stubs.txt --output-file requirements/lock-stubs.txt
	$(UV_LOCK) $(call extras,$(FLOOR_EXTRAS)) --constraint requirements/floor.txt pyproject.toml requirements/build.txt \
		requirements/floor-tests.txt --output-file requirements/lock-floor.txt

audit: .venv-tools/ready ## Ask for known vulnerabilities of the locked packages; needs the network.
	.venv-tools/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/lock-venv.txt $(ARGS) || \
		{ echo 'vulnerabilities were found, or the service in the network could not be asked: see above'; exit 1; }

clean: ## Remove what was built; installed models and data under build/ too.
	rm -rf build dist .venv .venv-stubs .venv-floor .venv-tools
