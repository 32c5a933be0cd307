# Everything runs on what `make` installs into .venv and build/; see `make help`.

# What the virtual environment is made from; if not set, python3 where that is new
# enough, else the newest one found.
PYTHON ?=
# The interpreter that the layer's launcher names; this machine's own if not set.
INTERPRETER ?=
# What `make test` runs, for example TESTS=tests/unit.
TESTS ?= tests

BIN := .venv/bin
VENV := .venv/installed
EMULATOR := build/tools/aws-lambda-rie

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo test check bench layer invalidator clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV) $(EMULATOR) layer invalidator ## rotate a secret under a running function and watch the next read
	@$(BIN)/python -m examples.demo.run

test: $(VENV) $(EMULATOR) layer invalidator ## build, then run every test, with coverage
	@echo "running $(TESTS) ..."
	@data=$$(mktemp -d build/coverage-XXXXXX) && trap 'rm -rf "$$data"' EXIT && \
	export COVERAGE_FILE="$$data/coverage" PYTHONPATH=shared:. && \
	$(BIN)/coverage run -m pytest $(TESTS) && \
	$(BIN)/coverage combine --quiet && \
	$(BIN)/coverage report $(if $(filter-out tests,$(TESTS)),--fail-under 0)

check: $(VENV) ## lint, formatting, types, import contracts, template
	@echo "ruff ..." && $(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "mypy ..." && $(BIN)/mypy
	@echo "import contracts ..." && PYTHONPATH=shared:. $(BIN)/lint-imports
	@echo "template ..." && $(BIN)/cfn-lint infra/template.yaml

bench: $(VENV) layer ## measure side by side with the peers; writes tables and plots
	@$(BIN)/python -m benchmarks.run

layer: $(VENV) ## build/layer and build/layer.zip; INTERPRETER=/var/lang/bin/python3 for Lambda's Python
	@$(BIN)/python -m infra.layer.build $(if $(INTERPRETER),--interpreter $(INTERPRETER))

invalidator: $(VENV) ## build/invalidator and build/invalidator.zip
	@$(BIN)/python -m infra.invalidator.build

clean: ## remove what was built, and all caches; .venv stays
	rm -rf build htmlcov .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(VENV): requirements/dev.txt infra/toolchain/venv.sh
	@PYTHON="$(PYTHON)" sh infra/toolchain/venv.sh

$(EMULATOR): infra/toolchain/rie.txt infra/toolchain/rie.py | $(VENV)
	@echo "fetching the Runtime Interface Emulator ..."
	@$(BIN)/python -m infra.toolchain.rie
