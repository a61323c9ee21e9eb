# Every target sets up .venv first; when nothing changed, that costs nothing.
#   make demo [SOURCE=folder] [OUT=folder or b2://bucket/prefix] [MODEL=ViT-B-32/laion2b_s34b_b79k] [DRY_RUN=1]
#             [VERSIONS=lakefs, with LAKEFS_ENDPOINT … in the environment]
PY := .venv/bin/python
STAMP := .venv/.stamp
OUT ?= out/demo
VERSIONS ?= git
export SOURCE OUT VERSIONS MODEL DRY_RUN

.PHONY: help setup demo ui doctor test lint lock clean
help:
	@echo "make demo    the whole way, on a sample or on SOURCE=folder; ends in OUT=$(OUT)"
	@echo "make ui      the Prefect UI with the runs so far"
	@echo "make doctor  versions, disk, credentials, B2 settings, and what to fix"
	@echo "make test    linters, import contracts, types and the whole test suite"
	@echo "make lint    the same without the test suite"
	@echo "make lock    pin requirements/ again (UPGRADE=1: to the newest)"

setup: $(STAMP)
$(STAMP): requirements/bootstrap.txt requirements/lock.txt pyproject.toml deployments/setup.sh
	@sh deployments/setup.sh

# make turns every failing exit into its own 2; 3 means done with something left out, which was said.
demo: $(STAMP)
	@$(PY) -m flows demo --out "$$OUT" $${SOURCE:+--source "$$SOURCE"} $${MODEL:+--model "$$MODEL"} \
		--versions "$$VERSIONS" $${DRY_RUN:+--dry-run} || [ $$? -eq 3 ]

ui: $(STAMP)
	@$(PY) -m flows ui

doctor: $(STAMP)
	@$(PY) -m flows doctor --home "$$OUT"

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports --no-logo
	$(PY) -m mypy

test: lint
	$(PY) -m pytest $(ARGS)

# The header names this target instead of uv's command line: no host may stand in these files.
PIN := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: $(STAMP)
	echo uv | $(PIN) - -o requirements/bootstrap.txt
	$(PIN) --all-extras pyproject.toml -o requirements/lock.txt

clean:
	rm -rf out .prefect .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
