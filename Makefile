# The commands of the project. Each makes what it needs; nothing but Python 3.11+ and make must be there.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
BIN := $(CURDIR)/$(VENV)/bin

.PHONY: demo picture test test-slow test-fleet bench check clean

demo: $(VENV)/light  ## run the embedded scene and look at what comes out: out/demo.mp4, out/demo.png
	$(BIN)/maskstream run --source demo --sink file:out/demo.mp4 --sink contact:out/demo.png
	@echo "see out/demo.mp4 and out/demo.png"

picture: $(VENV)/light  ## the moving picture of the README, docs/demo.webp; needs Debian's ffmpeg
	$(BIN)/maskstream run --source demo --sink file:out/demo.mp4
	ffmpeg -v error -y -i out/demo.mp4 -vf fps=8,scale=480:-1:flags=lanczos \
	  -c:v libwebp_anim -quality 45 -compression_level 6 -loop 0 docs/demo.webp

test: $(VENV)/full check  ## the tests that CI runs
	$(BIN)/python -m pytest tests/unit tests/simulation --numprocesses auto --dist worksteal
	$(BIN)/python -m pytest tests/integration tests/golden --numprocesses 2 --dist loadfile

test-slow: $(VENV)/full  ## minutes: training, endurance
	$(BIN)/python -m pytest -m slow --timeout 3600

test-fleet: $(VENV)/full  ## minutes: hosts, engines and servers that go away; some in environments named by variables
	$(PIP) --editable '.[test,fleet]'
	$(BIN)/python -m pytest -m fleet -s --timeout 3600

bench: $(VENV)/full  ## ratios and budgets on this machine
	$(BIN)/python -m pytest -m bench -s --timeout 1800

check: $(VENV)/full  ## ruff, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python -m pytest -q tests/unit/test_layers.py

clean:  ## remove the environment and what the commands wrote
	rm -rf $(VENV) out build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The serving install has no torch; `full` adds what trains, exports and tests.
$(VENV)/light: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/full: $(VENV)/light
	$(PIP) --editable '.[test]'
	@touch $@
