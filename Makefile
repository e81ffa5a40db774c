# SkinDiseaseNet. `make` alone lists the targets. GNU make 3.81 or newer, Python 3.10 or newer.
#
# The names of stamp files in .venv record what is installed: a second run starts at once, a changed requirements
# file installs again, and an install that failed leaves no stamp.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt

# Where torch and torchvision come from; empty: from where pip takes everything else. .venv remembers it.
TORCH_INDEX_OF_VENV := $(shell cat $(VENV)/.torch-index 2>/dev/null)
TORCH_INDEX ?= $(TORCH_INDEX_OF_VENV)

checksum = $(shell { cat $(1); echo '$(TORCH_INDEX)'; } | cksum | tr ' ' -)
INSTALLED := $(VENV)/.runtime-$(call checksum,requirements.txt constraints.txt)
DEV     := $(VENV)/.dev-$(call checksum,requirements.txt requirements-dev.txt constraints.txt)

ATHERIS := $(VENV)/.atheris-$(call checksum,requirements.txt requirements-dev.txt requirements-fuzz.txt constraints.txt)

export GRADIO_ANALYTICS_ENABLED := False
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-fast fuzz atheris soak lint bench train space clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo 'Any of them: TORCH_INDEX=URL takes torch and torchvision from another package index, PYTHON=python3.12 names the Python.'

demo: $(INSTALLED) ## the Gradio app at http://127.0.0.1:7860 (PORT=...)
	PORT=$${PORT:-7860} exec $(BIN)/python space_app.py

serve: $(INSTALLED) ## the Flask app under gunicorn at http://127.0.0.1:8000 (PORT=... WORKERS=...)
	exec $(BIN)/gunicorn flask_app:app

test: $(DEV) ## the whole test suite (ARGS='-k layers' for a part)
	PYTEST_ADDOPTS="-n 2 --dist loadfile $$PYTEST_ADDOPTS" $(BIN)/python -m pytest $(ARGS)

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

atheris: $(ATHERIS) ## made-up files at the decoder, guided by coverage (RUNS=1000000 executions, or FUZZ_SECONDS=..., whichever ends first)
	mkdir -p runs/fuzz
	$(BIN)/python tests/fuzz_decoder.py runs/fuzz/corpus -artifact_prefix=runs/fuzz/ -max_len=4096 -timeout=60 \
		-rss_limit_mb=600 -runs=$${RUNS:-1000000} -max_total_time=$${FUZZ_SECONDS:-0} -print_final_stats=1

bench: $(DEV) ## measure serving against alternatives; twenty minutes on a quiet machine (ARGS=--quick)
	$(BIN)/python -m benchmarks.serve --output docs/bench_serve.json --readme docs/speed.md $(ARGS)

train: $(if $(strip $(DATA)),$(INSTALLED)) ## train on DATA='DIR ...' (INIT=weights.safetensors OUT=runs/mine)
	@$(if $(strip $(DATA)),,echo "usage: make train DATA='DIR ...' [INIT=FILE.safetensors] [OUT=DIR]: DATA names data sets or folders, see train/configs/skin22.yaml" >&2; exit 2)
	$(BIN)/python -m train fit --config train/configs/skin22.yaml --data $(DATA) \
		$(if $(INIT),--init $(INIT),--stride-in-1x1 false) $(if $(OUT),--output $(OUT))

space: $(if $(strip $(REPO)),$(INSTALLED)) ## upload app and checkpoint to the Hugging Face Space REPO=ORG/NAME (CHECKPOINT=...)
	@$(if $(strip $(REPO)),,echo 'usage: make space REPO=ORG/NAME: REPO names the Space, and `hf auth login` gives the right to write to it' >&2; exit 2)
	$(BIN)/python -m app.deploy.space $(REPO)

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One install at a time: the lock is a folder, since making one is atomic.
LOCK = mkdir $(VENV)/.installing 2>/dev/null || \
	{ echo "Another make is installing into $(VENV). If none is, remove $(VENV)/.installing and try again." >&2; exit 2; }; \
	trap 'rmdir $(VENV)/.installing' EXIT; trap 'exit 130' HUP INT TERM; set -ex

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
		{ echo 'There is no $(PYTHON) here. Install Python 3.10 or newer, or name it: make PYTHON=/path/to/python3 ...' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo '$(PYTHON) lacks venv or ensurepip. On Debian and Ubuntu: sudo apt-get install python3-venv' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch and torchvision alone come from TORCH_INDEX (such an index need not hold their dependencies), the rest follows.
$(INSTALLED): | $(VENV)/.made
	@$(LOCK); rm -f $(VENV)/.runtime-*; \
	$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url '$(TORCH_INDEX)' \
		$(if $(filter $(TORCH_INDEX),$(TORCH_INDEX_OF_VENV)),,--force-reinstall) $$(grep '^torch' requirements.txt);) \
	echo '$(TORCH_INDEX)' > $(VENV)/.torch-index; \
	$(PIP) -r requirements.txt; \
	touch $@

$(DEV): $(INSTALLED)
	@$(LOCK); rm -f $(VENV)/.dev-*; \
	$(PIP) -r requirements-dev.txt; \
	touch $@

$(ATHERIS): $(DEV)
	@$(LOCK); rm -f $(VENV)/.atheris-*; \
	$(PIP) -r requirements-fuzz.txt; \
	touch $@
