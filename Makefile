# What there is to do in a checkout. `make` lists it.
# PYTHON=python3.12 chooses the interpreter, TORCH_BACKEND=cpu the small PyTorch, WORKERS=4 how many tests run at once.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
OUT := out/demo

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check kafka kafka-stop bench proto generated lock clean ready ready-test

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ready ## find the expressions in a real video, and those known in a made one: no broker, no GPU
	@clip=$$($(BIN)/python -m scripts.media talking-face) && $(BIN)/microex analyze "$$clip" --out $(OUT)
	@$(BIN)/microex synth videos --minutes 0.3334 --strength 0.5 --seed 3 --out $(OUT)/known
	@set -- $(OUT)/known/*.mp4; $(BIN)/microex analyze "$$1" --out $(OUT) \
		&& $(BIN)/python -m scripts.beside "$${1%.mp4}.json" "$(OUT)/$$(basename "$$1" .mp4)/events.jsonl"
	@echo "The results: $$(ls $(OUT)/*/timeline.png) and, beside it, events.jsonl, events.csv, events.eaf, summary.json"

test: ready-test check ## check the code and run every test, on a Kafka and a Redis of their own
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --durations=15

check: ready ## format, lint, types, imports and messages, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint

kafka: ## start Apache Kafka on 127.0.0.1:9092, data in .cache
	@$(PYTHON) -m scripts.setup kafka
	@$(PYTHON) -m scripts.broker start

kafka-stop: ## end it
	@$(PYTHON) -m scripts.broker stop

bench: ready ## measure every stage of the path against its floor
	@clip=$$($(BIN)/python -m scripts.media talking-face) && $(BIN)/python -m bench.path "$$clip"

proto: ready ## write the Python code of the messages in proto/ anew
	VENV=.venv scripts/proto.sh

generated: ready ## write the dashboards, the rules for Kubernetes and the page of metrics anew
	$(BIN)/python -m deploy.grafana.build && $(BIN)/python -m scripts.rules && $(BIN)/python -m scripts.metrics_page

lock: ready ## fit requirements.lock to pyproject.toml, keeping versions that still fit
	$(BIN)/uv pip compile --quiet --universal --fork-strategy=fewest --python-version=3.11 --generate-hashes \
		--custom-compile-command="make lock" --extra=all --group=dev pyproject.toml --output-file=requirements.lock

clean: kafka-stop ## remove what was installed, downloaded and written here
	rm -rf .venv .cache out

ready:
	@$(PYTHON) -m scripts.setup demo

ready-test:
	@$(PYTHON) -m scripts.setup test
