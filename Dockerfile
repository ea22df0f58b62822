# How it is built, pinned, signed and run: docs/image.md.  `make image-dry-run` runs these steps without an engine.
# The tag is for reading; pin the digest with `make image BASE=python:3.11-slim-bookworm@sha256:...`.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# The time of the last commit; every file of ours gets it.
ARG SOURCE_DATE_EPOCH=1767225600
# Byte code goes to a tree of its own: the base image has none for the standard library, and nothing is compiled while serving.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONPYCACHEPREFIX=/opt/ott/pycache
WORKDIR /build
COPY requirements/build.lock requirements/service.lock requirements/
# The environment of the service gets no pip of its own: what installs into it stays behind in this stage.
RUN python -m venv /build/tools \
    && /build/tools/bin/python -m pip install --quiet --require-hashes -r requirements/build.lock \
    && python -m venv --without-pip /opt/ott \
    && /build/tools/bin/python -m pip --python /opt/ott/bin/python install --quiet --require-hashes --only-binary :all: --no-compile -r requirements/service.lock
COPY LICENSE README.md pyproject.toml ./
COPY ott_extauthz ott_extauthz
# Hashes in the byte code, not times: a file whose time is another is not compiled anew, which could not be written down.
RUN /build/tools/bin/python -m hatchling build -t wheel -d /build/wheel \
    && /build/tools/bin/python -m pip --python /opt/ott/bin/python install --quiet --no-deps --no-index --no-compile /build/wheel/*.whl \
    && rm -f /opt/ott/bin/Activate.ps1 /opt/ott/bin/activate* \
    && rm -rf /opt/ott/pycache \
    && /opt/ott/bin/python -m compileall -q --invalidation-mode unchecked-hash -x '/(tests?|testing)/' /opt/ott/lib \
    && /opt/ott/bin/python -m compileall -q --invalidation-mode unchecked-hash -x '/(test|idlelib|lib2to3|ensurepip|site-packages)/' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && find /opt/ott -depth -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=2026-01-01T00:00:00Z
LABEL org.opencontainers.image.title="ott-extauthz" \
      org.opencontainers.image.description="One-time, certificate-bound tokens enforced at Envoy's ext_authz gRPC Check API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"
# Nothing that installs: an intruder finds no pip, and a scanner no findings in it.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip*
COPY --from=build /opt/ott /opt/ott
COPY dist/sbom.cdx.json /usr/share/sbom/ott-extauthz.cdx.json
COPY LICENSE /usr/share/doc/ott-extauthz/LICENSE
# HOME is a folder that nobody can write: no file of a user's is believed (~/.pgpass).
ENV PATH=/opt/ott/bin:${PATH} HOME=/opt/ott TMPDIR=/tmp PYTHONPYCACHEPREFIX=/opt/ott/pycache PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /etc/ott
USER 65532:65532
EXPOSE 9001 9002
STOPSIGNAL SIGTERM
# For engines that look at it; Kubernetes does not.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["ott-extauthz", "probe", "http://127.0.0.1:9002/readyz", "--timeout", "3s"]
ENTRYPOINT ["ott-extauthz"]
CMD ["serve"]
