# One image for the watcher, the loaders, the differs and the pods' own HSDS (bucket_loader.deploy.hsds_node).
#   docker build --tag hdfgroup/hsds-bucket-loader:1.0.0 .
# The base has to hold a Python 3.10 to 3.14, for which the lock has wheels.
ARG BASE_IMAGE=python:3.14-slim

FROM ${BASE_IMAGE} AS build
# the version of the Makefile, so that the lock reads the same
ARG UV_VERSION=0.13.9
RUN command -v strip > /dev/null \
    || { apt-get update --quiet --quiet && apt-get install --yes --quiet --no-install-recommends binutils > /dev/null; }
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# of the lock's packages those that pyproject.toml asks for at run time, not the tests' and the demo's; uv takes the
# versions and checks the hashes. Compiled here, because the root file system is read-only later: every hsload would
# compile its imports anew
RUN /opt/uv/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv \
    && VIRTUAL_ENV=/opt/venv /opt/uv/bin/uv pip install --quiet --no-cache --system-certs --compile-bytecode \
        --only-binary=:all: --constraint requirements.lock --requirements pyproject.toml --extra hsds
# 240 MB of the compression filters are debugging symbols; Cython and setuptools are for building, not for running them
RUN VIRTUAL_ENV=/opt/venv /opt/uv/bin/uv pip uninstall --quiet cython setuptools 2> /dev/null \
    && cd "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" \
    && find hdf5plugin numcodecs $(ls -d bitshuffle 2> /dev/null) -name '*.so' -exec strip --strip-debug {} + \
    && find hdf5plugin/plugins -name '*.so' -exec /opt/venv/bin/python -c \
        'import ctypes, sys; [ctypes.CDLL(path) for path in sys.argv[1:]]' {} + \
    && /opt/venv/bin/python -c 'import hdf5plugin, numcodecs'
# HSDS takes its settings from /config/config.yml where there is one, else from /etc/hsds (bucket_loader.deploy.hsds_config says
# what is changed there). Its own default names a role (aws_iam_role), whose keys it would fetch from the node with curl,
# at every step and without a time limit, before it looks at the credentials that the pod has. Where a mounted config.yml
# still says so, a curl that fails at once makes it look there.
RUN printf '#!/bin/sh\necho "%s" >&2\nexit 1\n' 'aws_iam_role is not used, the pod has its own credentials: set it to null' \
        > /opt/venv/bin/curl \
    && chmod 755 /opt/venv/bin/curl \
    && mkdir /opt/hsds
COPY bucket_loader /app/bucket_loader
COPY loader.py differ.py watcher.py make_inventory.py dump_inventory.py reset_inventory.py LICENSE /app/
RUN cd /app \
    && /opt/venv/bin/python -c 'from bucket_loader.deploy.hsds_node import prepare; prepare(); import hsds.datanode' \
    && /opt/venv/bin/python -m bucket_loader.deploy.hsds_config > /opt/hsds/config.yml \
    && /opt/venv/bin/python -m compileall -q /app

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="hsds-bucket-loader" \
    org.opencontainers.image.description="Loads the HDF5 files of an S3 bucket into HSDS, and checks each of them" \
    org.opencontainers.image.source="https://github.com/HDFGroup/hsds-bucket-loader" \
    org.opencontainers.image.licenses="BSD-2-Clause"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/hsds /etc/hsds
COPY --from=build /app /app
# HOME and TMPDIR: the one place that a pod can write to. when_required: stores that are not AWS's own break on boto3's
# newer checksums.
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    AWS_REQUEST_CHECKSUM_CALCULATION=when_required \
    AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
# there is no config.yml here: both the loader and HSDS look into the working directory first
WORKDIR /app
# a number: Kubernetes cannot tell whether a name is root's
USER 10001:10001
ENTRYPOINT ["python"]
CMD ["loader.py"]
