# make demo: see it learn. make up: run it. make test, make check: what CI runs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Where PyTorch's CPU build comes from: pip's own find-links where they are set, else PyTorch's index.
UV := UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv
TORCH := $(if $(PIP_FIND_LINKS),,--torch-backend=cpu)

.PHONY: setup demo up test check format lock screenshots clean

setup: $(VENV)/ready

$(VENV)/ready: requirements/all.txt requirements/loaders.txt pyproject.toml
	@started=$$(date +%s); set -e; \
	echo "Setting up $(VENV) (2 to 3 GB, once) ..."; \
	$(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet uv==0.13.9; \
	$(UV) pip install --quiet --no-deps $(TORCH) -r requirements/all.txt -r requirements/loaders.txt; \
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .; \
	$(BIN)/understudy setup; \
	mkdir -p var; echo $$(( $$(date +%s) - started )) > var/setup_seconds; \
	echo "Set up in $$(cat var/setup_seconds) s."; \
	touch $@

demo: setup
	@$(BIN)/understudy demo $(if $(ONCE),--once)

up: setup
	@$(BIN)/understudy up

test: setup
	$(BIN)/pytest -n 2 --dist loadfile -m "not engine and not cycle"
	$(BIN)/pytest -m "engine or cycle"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_import_line.py

# The pictures in docs/screenshots, taken anew by the browser tests.
screenshots: setup
	UNDERSTUDY_SCREENSHOTS=1 $(BIN)/pytest -q tests/browser

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# After a change of dependencies: the complete pinned lists that every machine installs from.
lock:
	$(UV) pip compile -q pyproject.toml --all-extras --override requirements/overrides.txt \
	  --no-annotate --no-header --python-version 3.11 | sed 's/+cpu//' > requirements/all.txt
	$(UV) pip compile -q pyproject.toml --override requirements/overrides.txt \
	  --no-annotate --no-header --python-version 3.11 > requirements/service.txt

clean:
	rm -rf $(VENV) var
