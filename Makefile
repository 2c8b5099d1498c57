# Each target sets up what it needs; constraints.txt pins the versions.
PYTHON ?= python3
DEMO := .venv-demo/bin
DEV := .venv/bin
# processes that run tests; each takes up to 1.5 GB
WORKERS ?= logical --maxprocesses=4

# cases of make fuzz: some minutes; 100000 take half an hour
N ?= 20000

.PHONY: demo test check pytest fuzz docs figures screenshots tables clean

demo: .venv-demo/ready      ## install nircolor, colorize the demo image, print where the page is
	$(DEMO)/nircolor demo -o demo

test: check pytest          ## everything that must pass before a commit

check: .venv/ready
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	$(DEV)/lint-imports

pytest: .venv/ready
	$(DEV)/pytest -n $(WORKERS) --dist worksteal

.venv-demo/ready: pyproject.toml constraints.txt $(shell find src -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv-demo
	$(DEMO)/pip install --quiet --disable-pip-version-check -c constraints.txt .
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	# torch first and by its exact version: a range would take the newest build, gigabytes of CUDA with it
	$(DEV)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(DEV)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

fuzz: .venv/ready           ## mutated images, sidecars, captures, models, recipes: make fuzz N=100000
	$(DEV)/python benchmarks/fuzz.py -n $(N)

docs: .venv/ready           ## build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(DEV)/mkdocs build --strict

figures: .venv/ready        ## draw the images of README and docs again
	$(DEV)/python docs/scripts/figures.py

screenshots: .venv/ready    ## make the screenshots of the web page again; needs Chromium
	$(DEV)/python docs/scripts/screenshots.py

tables: .venv/ready         ## write the tables of README and docs from the reports in results/
	$(DEV)/python benchmarks/tables.py

clean:
	rm -rf .venv .venv-demo demo site
