# What a person does with carlens; `make` alone lists it. Needs python3 (3.11 or later), make, and network once.

PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
PORT = $(or $(CARLENS_PORT),8000)
IMAGE ?= carlens
# torch, several GB of it, only where there is an NVIDIA GPU; the CPU is served from graphs. Either can be set by hand.
SERVING ?= $(if $(shell command -v nvidia-smi),requirements-gpu.txt,requirements.txt)
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --group build

.DEFAULT_GOAL = help
.PHONY: help serve test test-long test-ray check format lock openapi settings bench bench-service build-image run-image run-image-gpu clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.serve ## Install what is missing and serve on 127.0.0.1:8000 (CARLENS_HOST, CARLENS_PORT)
	@exec $(BIN)/carlens serve

test: $(VENV)/.dev ## Run all tests but the long ones
	$(BIN)/python -m pytest -q -m "not long and not gpu"

test-long: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -q -m "not gpu"

test-ray: $(BENCH_VENV)/.peers ## Run the tests of replicas on Ray Serve, on a cluster of several nodes on this machine
	$(BENCH_VENV)/bin/python -m pytest -q tests/ray

check: $(VENV)/.dev ## Lint, formatting, types, import laws, lock files in step, known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/contract/test_imports.py tests/contract/test_dependencies.py tests/contract/test_layout.py
	$(BIN)/python -m tests.audit

format: $(VENV)/.dev ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(VENV)/.dev ## Compile the lock files anew from pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) $(if $(UPGRADE),--upgrade) --extra gpu --output-file requirements-gpu.txt
	$(LOCK) $(if $(UPGRADE),--upgrade) --extra cpu --constraint requirements-gpu.txt --output-file requirements.txt
	$(LOCK) $(if $(UPGRADE),--upgrade) $(foreach extra,cpu gpu traces sets train dev,--extra $(extra)) \
		--constraint requirements.txt --constraint requirements-gpu.txt --output-file requirements-dev.txt

openapi: $(VENV)/.dev ## Write openapi/openapi.json from the code
	$(BIN)/carlens openapi --output openapi/openapi.json

settings: $(VENV)/.dev ## Write the table of settings in docker/README.md from the code
	$(BIN)/carlens settings --write docker/README.md

bench: $(BENCH_VENV)/.peers ## Compare with other ways to serve the same models, under half an hour (FULL=1: everything, hours)
	@exec $(BENCH_VENV)/bin/python -m tests.bench.compare $(if $(FULL),--full) $(ARGS)

bench-service: $(VENV)/.dev ## Measure the batcher, finding the vehicle, then a running service (URL=http://...)
	$(BIN)/python -m tests.bench.bench_batcher
	$(BIN)/python -m tests.bench.bench_locate
	$(BIN)/python -m tests.bench.bench_service $(or $(URL),http://127.0.0.1:$(PORT))

build-image: ## Build the images carlens:cpu and carlens:cuda
	docker build --file docker/Dockerfile --target cpu --tag $(IMAGE):cpu .
	docker build --file docker/Dockerfile --target cuda --tag $(IMAGE):cuda .

run-image: ## Run the CPU image on 127.0.0.1:8000
	docker run --rm --init --publish 127.0.0.1:$(PORT):8000 $(IMAGE):cpu

run-image-gpu: ## Run the CUDA image on 127.0.0.1:8000
	docker run --rm --init --gpus all --publish 127.0.0.1:$(PORT):8000 $(IMAGE):cuda

clean: ## Remove the virtual environment and everything generated (runs/ stays)
	rm -rf $(VENV) $(BENCH_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +

# The virtual environment, removed again where this Python can make only half of one.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "carlens needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip --version >/dev/null \
		|| { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment with pip. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

# Stamps: a second start finds them newer than the lock files and installs nothing. What is for development holds all
# that serving needs, so it sets both.
$(VENV)/.serve: $(SERVING) pyproject.toml | $(BIN)/python
	@echo "Installing what carlens serves with into $(VENV), once, from $(SERVING)."
	$(PIP) install --requirement $(SERVING)
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what carlens is developed and tested with into $(VENV): once, several GB, some minutes."
	$(PIP) install --requirement requirements-dev.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.serve $@

# What the bench compares with lives apart and sees all that is installed for development, so that torch is there once.
# Each by itself: one that does not install leaves the others, and the report says that it is missing.
$(BENCH_VENV)/.peers: tests/bench/peers.txt $(VENV)/.dev
	@echo "Installing what carlens is compared with into $(BENCH_VENV), once, a few minutes."
	$(BIN)/python -m venv $(BENCH_VENV)
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(BENCH_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/carlens_dev.pth"
	@while read -r peer; do \
		$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet "$$peer" \
			|| echo "$$peer does not install: the report will say so"; \
	done < tests/bench/peers.txt
	@touch $@
