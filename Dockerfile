# maskzoo in a container: runs the service by default, any other command by its name.
#
#   docker build -t maskzoo .
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp maskzoo

# Only the requirements, so that the layer of several GB below is rebuilt only when they change.
FROM python:3.11-slim-bookworm AS requirements
COPY pyproject.toml /
RUN python -c "import tomllib; print(*tomllib.load(open('/pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > /requirements.txt

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="maskzoo" \
      org.opencontainers.image.description="Train, compare and serve semantic-segmentation networks." \
      org.opencontainers.image.licenses="Apache-2.0"

ENV PATH=/opt/venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    NO_ALBUMENTATIONS_UPDATE=1 \
    MASKZOO_BUNDLES=/bundles \
    MASKZOO_STATE_FOLDER=/state \
    XDG_CACHE_HOME=/state/cache \
    TRITON_CACHE_DIR=/state/cache/triton \
    TORCHINDUCTOR_CACHE_DIR=/state/cache/inductor

# torch.compile builds libraries: Triton a launcher in C for each GPU kernel, TorchInductor C++ for a
# CPU. They are kept in /state, from where they can be loaded: docker mounts a --tmpfs as noexec.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# This user decodes untrusted uploads, so it owns only the folder of jobs and caches. That folder is a
# volume: it is writable on a read-only root, and outlives the container if the volume is named.
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp maskzoo \
    && mkdir /bundles \
    && install --directory --owner=10001 --mode=700 /state
VOLUME /state

COPY constraints.txt /build/
COPY --from=requirements /requirements.txt /build/
RUN python -m venv /opt/venv \
    && pip install --constraint /build/constraints.txt --requirement /build/requirements.txt

COPY . /build/maskzoo
RUN pip install --no-deps /build/maskzoo && rm -rf /build

USER maskzoo
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["maskzoo"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
