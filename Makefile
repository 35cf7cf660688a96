# make demo | test | check | setup: each prepares .venv first, and only when pyproject.toml or constraints.txt changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

# Where bytecode is never written, every process compiles what it imports again, for a quarter of a minute.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check lint types clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No python3.11 found. Install Python 3.11, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); needed: Python 3.11. Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -c 'import drive_wm.demo, drive_wm.train'  # compiles what is used, a fraction of what pip would
	@touch $@

demo: $(READY)
	$(BIN)/drive-wm demo

# One thread per process: the tensors of tests are small, and threads that wait for each other cost more than they bring.
check: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m "not slow"

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# mypy does not follow pyproject's folder map, so it reads a copy laid out as users import it.
types: $(READY)
	@rm -rf build/types && mkdir -p build/types
	cp -r drive_wm build/types
	cp -r datasets planners deploy benchmarks weights build/types/drive_wm
	MYPYPATH=build/types $(BIN)/mypy --num-workers auto -p drive_wm

clean:
	rm -rf build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
