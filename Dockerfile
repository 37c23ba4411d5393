# One image for workers and for the web service.
#   docker build -t pareto-prune .
#   docker build -t pareto-prune --build-arg TORCH_INDEX=URL .    # URL of PyTorch's CPU index: no CUDA
FROM python:3.11-slim

# Extras of the package; more packages (s3fs for artifacts in S3); an index asked for torch as well.
ARG EXTRAS=demo,serve
ARG PACKAGES=""
ARG TORCH_INDEX=""

# tini passes SIGTERM on from the first moment, and buries what a killed trial leaves.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 pareto \
    && useradd --uid 10001 --gid 10001 --home-dir /cache --no-create-home --shell /usr/sbin/nologin pareto \
    && install --directory --owner=10001 --group=10001 /cache /artifacts /studies

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pareto_prune pareto_prune
RUN pip install --no-cache-dir --constraint constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[${EXTRAS}]" ${PACKAGES} \
    && rm -rf /src/build

# Containers of one host share /cache, and in it the locks that keep measurements apart.
ENV HF_HOME=/cache/huggingface \
    HF_HUB_DISABLE_TELEMETRY=1 \
    OMP_WAIT_POLICY=PASSIVE \
    PARETO_PRUNE_CACHE=/cache \
    PARETO_PRUNE_LOCKS=/cache/locks \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TOKENIZERS_PARALLELISM=false

USER 10001:10001
WORKDIR /artifacts
VOLUME ["/cache", "/artifacts"]
ENTRYPOINT ["tini", "--", "pareto-prune"]
CMD ["--help"]
