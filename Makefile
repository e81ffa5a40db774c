# SkinDiseaseNet. `make` alone lists the targets. GNU make 3.81 or newer, Python 3.10 or newer.
#
# The names of stamp files in .venv record what is installed, so that a second run starts at once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt

# Where torch and torchvision come from; empty: from where pip takes everything else. .venv remembers it.
TORCH_INDEX_OF_VENV := $(shell cat $(VENV)/.torch-index 2>/dev/null)
TORCH_INDEX ?= $(TORCH_INDEX_OF_VENV)

SUM     := $(shell { cat requirements*.txt constraints.txt; echo '$(TORCH_INDEX)'; } | cksum | tr ' ' -)
RUNTIME := $(VENV)/.requirements-$(SUM)
DEV     := $(VENV)/.requirements-dev-$(SUM)

export GRADIO_ANALYTICS_ENABLED := False
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-fast fuzz atheris soak lint messages lock bench train space clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo 'Any of them: TORCH_INDEX=URL takes torch and torchvision from another package index, PYTHON=python3.12 names the Python.'

demo: $(RUNTIME) ## the Gradio app at http://127.0.0.1:7860 (PORT=...)
	PORT=$${PORT:-7860} exec $(BIN)/python space_app.py

serve: $(RUNTIME) ## the Flask app under gunicorn at http://127.0.0.1:8000 (PORT=... WORKERS=...)
	exec $(BIN)/gunicorn flask_app:app

test: $(DEV) ## the whole test suite (ARGS='-k layers' for a part)
	PYTEST_ADDOPTS="-n 2 --dist loadfile --no-loadscope-reorder --durations 25 $$PYTEST_ADDOPTS" $(BIN)/python -m pytest $(ARGS)

test-fast: ARGS := -m 'not slow' $(ARGS)
test-fast: test ## the tests without browsers, servers, launchers and training runs

fuzz: $(DEV) ## requests made up from the OpenAPI document (FUZZ=1000 by operation)
	FUZZ=$${FUZZ:-1000} $(BIN)/python -m pytest tests/app/test_schemathesis.py

soak: $(DEV) ## ten minutes at twice the load that the service sustains (MINUTES=...)
	$(BIN)/python benchmarks/soak.py --minutes $${MINUTES:-10}

lint: $(DEV) ## ruff, mypy, and the layers of the packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

atheris: $(VENV)/.requirements-fuzz-$(SUM) ## made-up files at the decoder, guided by coverage (RUNS=1000000 executions, or FUZZ_SECONDS=..., whichever ends first)
	mkdir -p runs/fuzz && $(BIN)/python tests/fuzz_decoder.py runs/fuzz/corpus -artifact_prefix=runs/fuzz/ -max_len=4096 -timeout=60 \
		-rss_limit_mb=600 -runs=$${RUNS:-1000000} -max_total_time=$${FUZZ_SECONDS:-0} -print_final_stats=1

messages: $(DEV) ## collect the sentences of code and templates into app/pages/locales/*.po
	$(BIN)/python -m app.pages.catalogue

lock: $(DEV) ## write requirements.lock anew: the versions of constraints.txt, and what they need, with hashes
	$(PIP) uv
	$(BIN)/uv pip compile requirements-dev.txt -c constraints.txt --universal --python-version 3.10 --generate-hashes \
		--no-annotate --custom-compile-command 'make lock' --no-config --quiet -o requirements.lock

bench: $(DEV) ## measure serving against alternatives; twenty minutes on a quiet machine (ARGS=--quick)
	$(BIN)/python -m benchmarks.serve --output docs/bench_serve.json --readme docs/speed.md $(ARGS)

train: $(if $(strip $(DATA)),$(RUNTIME)) ## train on DATA='DIR ...' (INIT=weights.safetensors OUT=runs/mine)
	@$(if $(strip $(DATA)),,echo "usage: make train DATA='DIR ...' [INIT=FILE.safetensors] [OUT=DIR]: DATA names data sets or folders, see train/configs/skin22.yaml" >&2; exit 2)
	$(BIN)/python -m train fit --config train/configs/skin22.yaml --data $(DATA) \
		$(if $(INIT),--init $(INIT),--stride-in-1x1 false) $(if $(OUT),--output $(OUT))

space: $(if $(strip $(REPO)),$(RUNTIME)) ## upload app and checkpoint to the Hugging Face Space REPO=ORG/NAME (CHECKPOINT=...)
	@$(if $(strip $(REPO)),,echo 'usage: make space REPO=ORG/NAME: REPO names the Space, and `hf auth login` gives the right to write to it' >&2; exit 2)
	$(BIN)/python -m app.deploy.space $(REPO)

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One install at a time: the lock is a folder, since making one is atomic.
LOCK = mkdir $(VENV)/.installing 2>/dev/null || \
	{ echo "Another make is installing into $(VENV). If none is, remove $(VENV)/.installing and try again." >&2; exit 2; }; \
	trap 'rmdir $(VENV)/.installing' EXIT; trap 'exit 130' HUP INT TERM; set -ex; rm -f $(@:$(SUM)=)*

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
		{ echo 'There is no $(PYTHON) here. Install Python 3.10 or newer, or name it: make PYTHON=/path/to/python3 ...' >&2; exit 2; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo "Python 3.10 or newer is needed, with venv and ensurepip (on Debian and Ubuntu: sudo apt-get install python3-venv);" \
		"$(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) && touch $@

# torch and torchvision alone come from TORCH_INDEX (such an index need not hold their dependencies), the rest follows.
$(RUNTIME): | $(VENV)/.made
	@$(LOCK); \
	$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url '$(TORCH_INDEX)' \
		$(if $(filter $(TORCH_INDEX),$(TORCH_INDEX_OF_VENV)),,--force-reinstall) $$(grep '^torch' requirements.txt);) \
	echo '$(TORCH_INDEX)' > $(VENV)/.torch-index; \
	$(PIP) -r requirements.txt; touch $@

$(DEV): $(RUNTIME)
$(VENV)/.requirements-fuzz-$(SUM): $(DEV)
$(VENV)/.requirements-%-$(SUM):
	@$(LOCK); $(PIP) -r requirements-$*.txt; touch $@
