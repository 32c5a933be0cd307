# Everything runs on what `make` installs into .venv and build/; see `make help`.

# What the virtual environment is made from; if not set, python3 where that is new
# enough, else the newest one found.
PYTHON ?=
# Which processor the layer is for: x86_64 or arm64; this machine's own if not set.
ARCH ?=
# What `make test` runs, for example TESTS=tests/unit.
TESTS ?= tests

BIN := .venv/bin
VENV := .venv/installed
EMULATOR := build/tools/aws-lambda-rie

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo test check fuzz bench startup simulate schedules layer layer-arm64 reproduce invalidator publish rootfs runtimes snippets servers rotations edge inprocess many docs clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV) $(EMULATOR) layer invalidator ## rotate a secret under a running function and watch the next read
	@$(BIN)/python -m examples.demo.run

test: $(VENV) $(EMULATOR) layer layer-arm64 invalidator rootfs runtimes servers snippets ## build, then run every test, with coverage
	@echo "running $(TESTS) ..."
	@data=$$(mktemp -d build/coverage-XXXXXX) && trap 'rm -rf "$$data"' EXIT && \
	export COVERAGE_FILE="$$data/coverage" PYTHONPATH=shared:. && \
	$(BIN)/coverage run -m pytest $(TESTS) && \
	$(BIN)/coverage combine --quiet && \
	$(BIN)/coverage report $(if $(filter-out tests,$(TESTS)),--fail-under 0)

check: $(VENV) ## lint, formatting, types, import contracts, templates, documentation
	@echo "ruff ..." && $(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "mypy ..." && $(BIN)/mypy
	@echo "import contracts ..." && PYTHONPATH=shared:. $(BIN)/lint-imports
	@echo "template ..." && $(BIN)/cfn-lint infra/*.yaml examples/*/template.yaml
	@echo "documentation ..." && $(MAKE) --no-print-directory docs

docs: $(VENV) ## build/site, the documentation to read in a browser; any warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

fuzz: $(VENV) ## fuzz every parser (20 MB) and the running port (200,000 requests), from a new seed
	@export FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} PYTHONPATH=shared:. && \
	FUZZ_BYTES=4000000 FUZZ_REQUESTS=200000 $(BIN)/python -m pytest -s tests/fuzz

bench: $(VENV) layer runtimes ## measure side by side with the peers; writes tables and plots
	@$(BIN)/python -m benchmarks.run

schedules: $(VENV) ## play COUNT=100000 schedules of the protocol, from a new seed or FIRST=
	@PYTHONPATH=shared:. $(BIN)/python -m tests.simulation.run $(or $(COUNT),100000) $(if $(FIRST),--first $(FIRST))

simulate: $(VENV) ## simulate up to 10,000 environments; writes tables and plots into docs
	@PYTHONPATH=shared:. $(BIN)/python -m benchmarks.scale

startup: $(VENV) layer ## what a start costs: clear text and TLS, a core and 8 % of one
	@$(BIN)/python -m benchmarks.start_up

layer: $(VENV) ## build/layer and its zip; ARCH=arm64 or x86_64 for the other processor: build/layer-ARCH
	@sh infra/toolchain/debian.sh prove:perl make patch
	@$(BIN)/python -m infra.layer.build $(if $(ARCH),--arch $(ARCH))

# The tests run this one too, by emulation.
layer-arm64: layer
	@$(BIN)/python -m infra.layer.build --arch arm64

reproduce: layer ## compile the layer's Python again, elsewhere: the same bytes? (10 minutes; ARCH=arm64)
	@$(BIN)/python -m infra.interpreter.reproduce $(ARCH)

invalidator: $(VENV) ## build/invalidator and build/invalidator.zip
	@$(BIN)/python -m infra.invalidator.build

publish: $(VENV) ## to REGIONS=eu-west-1,us-east-1: the layers; DRY_RUN=1 only checks; docs/publish.md has the rest
	@sh infra/toolchain/debian.sh prove:perl make patch
	@PYTHONPATH=shared:. $(BIN)/python -m infra.publish --regions "$(REGIONS)" --bucket "$(BUCKET)" \
	--arch "$(ARCH)" --flavours "$(FLAVOURS)" --accounts "$(ACCOUNTS)" \
	$(if $(PUBLIC),--public) $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

edge: $(VENV) ## build/edge.zip, the example for Lambda@Edge; SETTINGS=<file> for other settings
	@PYTHONPATH=shared:. $(BIN)/python -m examples.edge.build $(if $(SETTINGS),--settings $(SETTINGS))

inprocess: $(VENV) ## what a start costs in process, over boto3
	@PYTHONPATH=shared:. $(BIN)/python -m benchmarks.own_process

many: $(VENV) layer ## what a start costs that prefetches a thousand names
	@PYTHONPATH=shared:. $(BIN)/python -m benchmarks.many

rootfs: $(VENV) ## the Debian 11 in which the layer is tested; needs root
	@$(BIN)/python -m infra.toolchain.rootfs

runtimes: $(VENV) ## Node.js, and a compiled function, for the tests in Debian 11
	@$(BIN)/python -m infra.toolchain.runtimes

snippets: $(VENV) ## the CDK and what else renders infra/snippets, for the tests
	@$(BIN)/python -m infra.snippets.tools

servers: ## PostgreSQL, MariaDB and Redis, for the tests to start
	@sh infra/toolchain/debian.sh pg_ctlcluster:postgresql mariadb-install-db:mariadb-server-core my_print_defaults:mariadb-client-core redis-server

rotations: $(VENV) $(EMULATOR) layer invalidator servers ## 100 rotations of each kind under constant logins; writes table and plot into docs
	@PYTHONPATH=shared:. $(BIN)/python -m benchmarks.rotations

clean: ## remove what was built, and all caches; .venv stays
	rm -rf build htmlcov .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(VENV): requirements/dev.txt infra/toolchain/venv.sh
	@PYTHON="$(PYTHON)" sh infra/toolchain/venv.sh

$(EMULATOR): infra/toolchain/rie.txt infra/toolchain/rie.py | $(VENV)
	@echo "fetching the Runtime Interface Emulator ..."
	@$(BIN)/python -m infra.toolchain.rie
