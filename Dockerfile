# The portal for production: web, worker, beat and manage.py in one image; the command says which.
# Built and run by compose.yaml, see docs/runbooks/deployment.md.

# One version for every stage. Pin it by digest too where your registry lets you.
FROM python:3.12.12-slim-bookworm AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

# The style sheet. Node.js comes from PyPI, as for developers.
FROM base AS assets
WORKDIR /build
COPY requirements-node.txt ./
RUN pip install --root-user-action=ignore -r requirements-node.txt
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY static/src static/src
COPY templates templates
COPY accounts accounts
COPY billing billing
COPY common common
RUN mkdir -p static/dist && npm run build

# The Python packages: those of requirements.txt and nothing for development.
FROM base AS packages
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install -r requirements.txt

FROM base AS portal
# Chinese, Japanese and Korean letters of names on invoices.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-droid-fallback \
    && rm -rf /var/lib/apt/lists/*
ENV INVOICE_FONTS=/usr/share/fonts/truetype/droid
RUN useradd --system --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin portal
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH ENV_FILE= HOST=0.0.0.0 PORT=8000
COPY --from=packages /opt/venv /opt/venv
COPY manage.py ./
COPY accounts accounts
COPY billing billing
COPY billing_project billing_project
COPY common common
COPY locale locale
COPY templates templates
COPY --from=assets /build/static/dist static/dist
# The settings ask for services and keys; collecting files uses none of them.
RUN SANDBOX=1 DATABASE_URL=postgresql:///none REDIS_URL=redis://127.0.0.1 \
        python manage.py collectstatic --noinput --verbosity 0 \
    && python -m billing_project.messages compile \
    && python -m compileall -q accounts billing billing_project common \
    && install --directory --owner portal --mode 700 var/run

USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-m", "billing_project.operations.probe", "web"]
CMD ["python", "-m", "billing_project.web"]
