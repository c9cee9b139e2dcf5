# Everything a developer says to this project. `make run` and `make test` need Python, a C compiler
# and nothing else.

# The first Python that this project runs on; PYTHON=/path/to/python overrides.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		2>/dev/null && { echo "$$python"; break; }; done)

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

# Tools that insist on a home get one.
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/var/home
endif
# Node.js from PyPI lands beside Python; on PATH it comes last, so that an installed one is used.
export PATH := $(PATH):$(CURDIR)/$(VENV)/bin

# What the checks run with: nothing of the developer's own, and an empty database.
CHECK_ENV := env -u DATABASE_URL -u REDIS_URL ENV_FILE= VAR_DIR=var/check SANDBOX=1
# A portal as it would be deployed.
DEPLOY_ENV := env -u DATABASE_URL -u REDIS_URL ENV_FILE= VAR_DIR=var/check SANDBOX=0 DEBUG=0 \
	SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	PUBLIC_URL=https://billing.example.com EMAIL_URL=smtp+tls://user:password@smtp.example.com:587 \
	STRIPE_SECRET_KEY=sk_test_000000000000000000000000 STRIPE_WEBHOOK_SECRET=whsec_check \
	STRIPE_PUBLISHABLE_KEY=pk_test_000000000000000000000000

CSS_SOURCES := $(shell find static/src templates accounts billing common -name '*.css' -o -name '*.html' -o -name 'forms.py' -o -name '*.svg' -o -name '*.js' 2>/dev/null)

# What the portal reads of the translations in the .po files.
MESSAGES := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))

CHECKS := check-lint check-format check-types check-imports check-django check-templates \
	check-migrations check-deploy check-messages

.PHONY: help run test prove bench check backup restore image format lock messages assets clean $(CHECKS)

help: ## Say what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.installed static/dist/app.css $(MESSAGES) ## Run the portal and its sandbox on this machine
	@exec $(PY) -m billing_project.run

test: $(VENV)/.installed-dev static/dist/app.css $(MESSAGES) ## Run the tests (PYTEST_ARGS="-k name" picks some)
	@$(PY) -m pytest $(PYTEST_ARGS)

prove: $(VENV)/.installed-dev static/dist/app.css $(MESSAGES) ## Run the long proofs
	@$(PY) -m pytest -m prove $(PYTEST_ARGS)

bench: $(VENV)/.installed-dev static/dist/app.css $(MESSAGES) ## Measure, print and write var/bench.json
	@$(PY) -m benchmarks

check: $(CHECKS) ## Lint, types, imports, migrations, deployment settings (make -k check: all)

$(CHECKS): $(VENV)/.installed-dev | static/dist

static/dist:
	@mkdir -p $@

check-lint:
	$(PY) -m ruff check --quiet .

check-format:
	$(PY) -m ruff format --check --quiet .

check-types:
	@$(CHECK_ENV) DATABASE_URL=postgresql:///none REDIS_URL=redis://127.0.0.1 $(PY) -m mypy .

check-imports:
	$(VENV)/bin/lint-imports --no-logo

check-django:
	@git ls-files -z '*.py' | xargs -0 $(PY) -m django_upgrade --target-version 5.2 --check

check-templates:
	$(PY) -m djlint --quiet --lint templates

check-migrations:
	@$(CHECK_ENV) $(PY) manage.py makemigrations --check --dry-run

check-deploy:
	@$(DEPLOY_ENV) $(PY) -W error::UserWarning manage.py check --deploy --fail-level WARNING

check-messages:
	@$(PY) -m billing_project.messages check

backup: $(VENV)/.installed ## Save the database (FILE=name; docs/runbooks/backup.md)
	@mkdir -p var/backups
	@$(PY) manage.py backup $(or $(FILE),var/backups/$(shell date -u +%Y%m%dT%H%M%SZ).backup)

restore: $(VENV)/.installed ## Restore a backup (FILE=name RESTORE_ARGS=--replace)
	@test -n "$(FILE)" || { echo "Say which: make restore FILE=name" >&2; exit 1; }
	@$(PY) manage.py restore $(FILE) $(RESTORE_ARGS)

image: ## Build the container image (needs Docker; docs/runbooks/deployment.md)
	@docker build --tag billing-portal .

format: $(VENV)/.installed-dev ## Bring the code into shape
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format --quiet .

lock: $(VENV)/.installed-dev ## Compile the pinned requirements from the .in files
	@for name in requirements requirements-dev requirements-node; do \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
			--custom-compile-command 'make lock' $(LOCK_ARGS) $$name.in -o $$name.txt || exit 1; done

messages: $(VENV)/.installed ## Bring the translations in line with what the code says
	@$(PY) -m billing_project.messages extract

assets: static/dist/app.css $(MESSAGES) ## Build the style sheet and compile translations

clean: ## Remove what was installed and built; data under var/ stays
	@rm -rf $(VENV) node_modules static/dist var/static $(MESSAGES)

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.13 with venv was found; set PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Making a virtual environment with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python requirements.txt
	@echo "Installing Python packages"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing Python packages for development"
	@$(PIP) install -r requirements-dev.txt
	@touch $@

# Node.js builds the style sheet: the installed one if it is recent enough, else one from PyPI.
node_modules/.installed: package.json package-lock.json requirements-node.txt | $(VENV)/.installed
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 \
		|| { echo "Installing Node.js from PyPI"; $(PIP) install -r requirements-node.txt; }
	@echo "Installing packages for the style sheet"
	@npm ci --silent --no-progress
	@touch $@

static/dist/app.css: node_modules/.installed $(CSS_SOURCES)
	@echo "Building the style sheet"
	@mkdir -p var
	@npm run --silent build >var/build.log 2>&1 || { cat var/build.log >&2; exit 1; }
	@touch $@

$(MESSAGES): %.mo: %.po | $(VENV)/.installed
	@$(PY) -m billing_project.messages compile
