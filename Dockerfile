# maskzoo in a container: runs the service by default, any other command by its name.
#
#   docker build -t maskzoo .                     for NVIDIA GPUs; runs on CPUs too
#   docker build -t maskzoo:cpu --target cpu .    without CUDA, and without a compiler
#   docker build --build-arg EXTRAS="ray telemetry" -t maskzoo:ray .
#                                                 with extras of pyproject.toml
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp maskzoo:cpu
#
# The target `cpu` takes torch from PyTorch's index of builds without CUDA. Where that cannot be
# reached, --build-arg TORCH_CPU_INDEX= takes the torch of the default index, which on Linux brings
# CUDA's libraries along (5 GB). Each image lists its Python packages in /usr/share/maskzoo/sbom.json.

FROM python:3.11-slim-bookworm AS builder
ENV PATH=/opt/venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

FROM python:3.11-slim-bookworm AS base
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

# A login shell, as KubeRay starts, sets PATH anew.
# This user decodes untrusted uploads, so it owns only the folder of jobs and caches. That folder is a
# volume: it is writable on a read-only root, and outlives the container if the volume is named. So
# does /runs for those who train.
RUN echo "PATH=$PATH" > /etc/profile.d/maskzoo.sh \
    && useradd --system --uid 10001 --no-create-home --home-dir /tmp maskzoo \
    && mkdir /bundles \
    && install --directory --owner=10001 --mode=700 /state /runs
VOLUME /state

WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["maskzoo"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

# Only the requirements, so that the layers of several GB below are rebuilt only when they change.
FROM builder AS requirements
ARG EXTRAS=
COPY pyproject.toml constraints.txt /requirements/
RUN python -c "import sys, tomllib; project = tomllib.load(open('/requirements/pyproject.toml', 'rb'))['project']; print(*project['dependencies'], *(line for extra in sys.argv[1:] for line in project['optional-dependencies'][extra] if not line.startswith(project['name'])), sep='\n')" $EXTRAS > /requirements/all.txt \
    && rm /requirements/pyproject.toml

FROM builder AS wheel
COPY . /source
RUN pip wheel --no-deps --wheel-dir /wheels /source

FROM builder AS sbom-tool
RUN python -m venv /opt/sbom && /opt/sbom/bin/pip install cyclonedx-bom==7.5.0

FROM builder AS packages-cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=requirements /requirements /requirements
RUN python -m venv /opt/venv \
    && pip install --constraint /requirements/constraints.txt ${TORCH_CPU_INDEX:+--index-url "$TORCH_CPU_INDEX"} torch torchvision \
    && pip install --constraint /requirements/constraints.txt --requirement /requirements/all.txt

FROM sbom-tool AS sbom-cpu
RUN --mount=type=bind,from=packages-cpu,source=/opt/venv,target=/opt/venv \
    /opt/sbom/bin/cyclonedx-py environment --output-file /sbom.json /opt/venv

FROM base AS cpu
COPY --from=packages-cpu /opt/venv /opt/venv
COPY --from=sbom-cpu /sbom.json /usr/share/maskzoo/sbom.json
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl
USER 10001

FROM builder AS packages-cuda
COPY --from=requirements /requirements /requirements
RUN python -m venv /opt/venv \
    && pip install --constraint /requirements/constraints.txt --requirement /requirements/all.txt

FROM sbom-tool AS sbom-cuda
RUN --mount=type=bind,from=packages-cuda,source=/opt/venv,target=/opt/venv \
    /opt/sbom/bin/cyclonedx-py environment --output-file /sbom.json /opt/venv

FROM base AS cuda
# torch.compile builds libraries: Triton a launcher in C for each GPU kernel, TorchInductor C++ for a
# CPU. They are kept in /state, from where they can be loaded: docker mounts a --tmpfs as noexec.
# No version of g++: Debian's mirrors keep only the newest one of a release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages-cuda /opt/venv /opt/venv
COPY --from=sbom-cuda /sbom.json /usr/share/maskzoo/sbom.json
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl
USER 10001
