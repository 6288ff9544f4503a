# One command opens the course, one proves it; `make help` lists the rest.
# Recipes name relative paths only, so that the folder may lie anywhere, also under a name with spaces.

PYTHON ?= python3
WORKERS ?= 2

PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q
STAMP := .venv/installed
FREEZE := $(PY) -m pip freeze --all --exclude pip --exclude-editable

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env lab site hub assignments test store scoreboard zoo bench mutants constraints clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# The environment ----------------------------------------------------------------------------------------------------

# The stamp holds the folder it was made in: a moved or copied environment is installed anew.
ifneq "$(shell cat $(STAMP) 2>/dev/null)" "$(CURDIR)"
$(STAMP): FORCE
endif

# The mark `unfinished` names the make that installs, and outlives whatever stops it. What is left then may hold half a
# package that pip takes for a whole one, so the next attempt starts from nothing.
define make_venv
	@"$(PYTHON)" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: the course needs Python 3.11 or newer with its modules venv and ensurepip."; \
	  echo "      '$(PYTHON)' is: $$("$(PYTHON)" --version 2>&1 | tail -1)"; \
	  echo "      Name another one with  make ... PYTHON=python3.12;  on Debian and Ubuntu also  apt install python3-venv"; \
	  exit 1; } >&2
	@[ ! -e .venv/unfinished ] || { \
	  maker=$$(cat .venv/unfinished); \
	  ! kill -0 "$$maker" 2>/dev/null || { echo "make: process $$maker is installing; wait until it is done" >&2; exit 1; }; \
	  echo "make: the last installation did not finish; starting afresh"; rm -rf .venv; }
	@mkdir -p .venv && echo $$PPID > .venv/unfinished && rm -f $(STAMP) && "$(PYTHON)" -m venv .venv
endef

define pip_failed
{ echo "make: the installation failed, see above; the same command starts it afresh" >&2; exit 1; }
endef

define finish_venv
	@rm .venv/unfinished && printf '%s\n' "$(CURDIR)" > $(STAMP)
endef

$(STAMP): pyproject.toml constraints.txt
	@[ -e .venv ] || echo "make: making the environment in .venv; the first time takes minutes (README, section Installing)"
	$(make_venv)
	@$(PY) -m pip install -q -c constraints.txt -e '.[test]' || $(pip_failed)
	$(finish_venv)

env: $(STAMP) ## make the environment in .venv and nothing else; PYTHON=python3.12 names another Python

constraints: $(STAMP) ## write the versions installed in .venv, with all extras, to constraints.txt
	@$(PY) -m pip install -q -c constraints.txt -e '.[test,site,classroom]' || $(pip_failed)
	@echo '# The exact versions the course was tested with (Linux, Python 3.11). Written by `make constraints`.' > .venv/new
	@$(FREEZE) > .venv/frozen && sed 's/+.*//' .venv/frozen >> .venv/new && mv .venv/new constraints.txt

clean: ## remove the environment and the caches; your notebooks and trainings stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis docs/_build docs/generated lib/*.egg-info
	find lib tests data notebooks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# Learning ------------------------------------------------------------------------------------------------------------

lab: $(STAMP) ## open the course on your own copy; PORT=8890 chooses the port, AUTHOR=1 opens the originals
	@$(PY) -m denoising.nb lab $(if $(PORT),--port $(PORT)) $(if $(filter-out 0,$(AUTHOR)),--author)

site: $(STAMP) ## build the course as a web book in docs/_build/html, from what is stored; INSTRUCTOR=1 adds the answer keys
	@$(PY) -c 'import myst_nb, selenium' 2>/dev/null || $(PY) -m pip install -q -c constraints.txt -e '.[site]' || $(pip_failed)
	@book=$(if $(filter-out 0,$(INSTRUCTOR)),instructor,html); \
	$(PY) -m sphinx -q -W --keep-going -t $$book -c docs . docs/_build/$$book && echo "open docs/_build/$$book/index.html"

hub: $(STAMP) ## start JupyterHub for a class on this machine (classroom/README.md); PORT=8000 chooses the port
	@$(PY) -c 'import jupyterhub, nbgrader, pamela' 2>/dev/null || $(PY) -m pip install -q -c constraints.txt -e '.[classroom]' || $(pip_failed)
	@$(PY) classroom/room.py && DENOISING_PORT=$(or $(PORT),8000) exec $(PY) -m jupyterhub -f classroom/jupyterhub_config.py

assignments: $(STAMP) ## make the graded assignments of all lessons in classroom/course; NB=1.1 makes that one
	@$(PY) -c 'import nbgrader' 2>/dev/null || $(PY) -m pip install -q -c constraints.txt -e '.[classroom]' || $(pip_failed)
	@$(PY) -m denoising.classroom assignments $(NB)

# Proving -------------------------------------------------------------------------------------------------------------

# Makes the notebook that NB names the argument "$$@" of what follows.
define that_notebook
set -- notebooks/*/$(NB)-*.ipynb; [ -e "$$1" ] || { \
	  echo "make: there is no notebook $(NB); there are:"; \
	  ls notebooks/*/*.ipynb 2>/dev/null | sed 's|.*/\([^-]*\)-.*|  NB=\1|'; exit 1; } >&2;
endef

# Every layer runs, also after one has failed. A pytest that finds nothing to test (code 5) has failed.
ifdef NB
test: $(STAMP)
	@$(that_notebook) $(PYTEST) --nbval "$$@"
else
test: $(STAMP) ## run every test, then every notebook; NB=1.1 runs that notebook only
	@trap 'exit 130' INT TERM; failed=; report=; began=$$(date +%s); \
	layer() { \
	  name=$$1; shift; start=$$(date +%s); printf '\n== %s: %s\n' "$$name" "$$*"; \
	  "$$@"; code=$$?; verdict=passed; [ $$code -eq 0 ] || { verdict=FAILED; failed="$$failed $$name"; }; \
	  [ $$code -ne 5 ] || verdict='FAILED (nothing to test was found)'; \
	  report="$$report$$(printf '%5d s  %-10s %s' $$(( $$(date +%s) - start )) "$$name" "$$verdict")\n"; }; \
	layer lint $(PY) -m ruff check .; \
	layer format $(PY) -m ruff format --check .; \
	layer tests $(PYTEST) -rs -n $(WORKERS) --dist loadgroup --doctest-modules tests lib/denoising; \
	layer notebooks $(PYTEST) --nbval -n $(WORKERS) notebooks; \
	printf '\n== make test: %s s\n%b' $$(( $$(date +%s) - began )) "$$report"; \
	[ -z "$$failed" ] && echo "All layers passed." || { echo "Failed:$$failed" >&2; exit 1; }
endif

mutants: $(STAMP) ## break library and notebooks one line at a time and see that each break is noticed
	@$(PY) tests/mutation/run.py

bench: $(STAMP) ## measure speed and memory and write the table
	@$(PY) tests/bench.py

# Making --------------------------------------------------------------------------------------------------------------

store: $(STAMP) ## run the notebooks from a fresh kernel and store their outputs; NB=1.1 stores that one
	@$(if $(NB),$(that_notebook)) $(PY) -m denoising.nb store $(if $(NB),"$$@")

scoreboard: $(STAMP) ## write every claim of the stored notebooks onto docs/scoreboard.md
	@$(PY) -m denoising.nb scoreboard

zoo: $(STAMP) ## train a checkpoint, NAME=fashion_clf; FAST=1 takes its short recipe
	@$(if $(NAME),,$(error name a checkpoint: make zoo NAME=fashion_clf))$(PY) -m denoising.zoo train $(NAME) $(if $(filter-out 0,$(FAST)),--fast)
