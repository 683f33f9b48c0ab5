# Needs git, GNU make and npm (or Bun); all other tools are fetched into this directory. `make help`.

BUN := scripts/bun
BINARY := dist/bin/buntracker
VERSION := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
COMMIT := $(shell git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)
# Folders too: they change when a file is added or removed.
SOURCES := $(shell find src) $(addprefix test/bench/results/,compare.txt core.txt costs.txt \
  handshakes.txt http-workers.txt regress.txt scaling.txt)
# A worker is a separate program inside the binary.
ENTRIES := src/main.ts $(wildcard src/udp/worker.ts src/start/http-worker.ts)
# The command that builds a binary, for this machine and for all others. With splitting, what the
# code loads by `await import` takes no memory before. An idle process takes 3 MB less because its
# bytecode lies in the binary, and 0.5 MB because machine code is made late (src/host/compiling.ts).
# The passes that optimize bytecode made announces 10 to 25 % slower, so they are off. The library of
# the cluster writes bytes of servers to the console, which may be a terminal; nothing of ours does.
COMPILE = $(BUN) build --compile --splitting --minify --drop console --sourcemap \
  --format=esm --bytecode --no-optimize-bytecode --compile-jit-policy 64 \
  --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
  --define BUILD_VERSION='"$(VERSION)"' --define BUILD_COMMIT='"$(COMMIT)"' $(ENTRIES)
COMMIT_STAMP := .tools/commit
MODULES_STAMP := node_modules/.installed

.DELETE_ON_ERROR:
.PHONY: help run cluster build test check format docs picture clients conformance fuzz soak simulate silences churn overload clean FORCE
.PHONY: dist packages packaging-tools test-packages test-targets test-dist container-dist lint-dist

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

run: $(BINARY) ## build the tracker and run it
	@exec $(BINARY)

# Needs nats-server.
cluster: $(BINARY) ## run three trackers that share their peers
	@exec $(BUN) scripts/cluster.ts

build: $(BINARY) ## build dist/bin/buntracker

test: check $(BINARY) ## check format and types, then run all tests
	$(BUN) test --timeout 30000

check: $(MODULES_STAMP) ## check the format and the types
	$(BUN) fmt --check
	$(BUN) check

format: $(MODULES_STAMP) ## format all files
	$(BUN) fmt

docs: $(MODULES_STAMP) ## write the documents that are generated from the program
	$(BUN) scripts/documents.ts

# Needs Chromium, and port 6969.
picture: $(BINARY) ## take the picture of the page for the README
	$(BUN) scripts/picture.ts

# ALL=1 adds clients and pairs that take longer; the results are in test/clients/results.
clients: $(BINARY) ## let real BitTorrent clients find each other (ALL=1)
	$(BUN) test/clients/run.ts $(if $(ALL),--all)
	$(BUN) test/clients/after-restart.ts
	$(BUN) test/clients/two-trackers.ts
	$(BUN) test/clients/browsers.ts

# SEED=n repeats a run.
fuzz: $(BINARY) ## send mutated requests (SECONDS=120)
	$(BUN) test/fuzz/run.ts --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED))

# FIRST=n SEEDS=1 repeats a run.
simulate: $(MODULES_STAMP) ## let a simulated cluster fail in every way (SECONDS=60)
	$(BUN) test/cluster/simulate.ts $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) \
	  $(if $(SECONDS),--seconds $(SECONDS))

# Three minutes; needs nginx, HAProxy and Caddy.
silences: $(BINARY) ## keep WebSockets silent for three minutes behind proxies
	$(BUN) test/soak/silences.ts

churn: $(BINARY) ## let 100 browsers come and go each second (MINUTES=20)
	$(BUN) test/soak/churn.ts --minutes $(or $(MINUTES),20)

# The results are in test/soak/results.
soak: $(BINARY) ## run it under load and attacks (MINUTES=20)
	$(BUN) test/soak/run.ts --minutes $(or $(MINUTES),20)

overload: $(BINARY) ## send three times the load it can answer (SECONDS=60)
	$(BUN) test/soak/overload.ts --seconds $(or $(SECONDS),60)

# INSTALL=1 first builds or fetches the others into .tools, which takes half an hour. TRACKER=name
# examines one again.
conformance: $(BINARY) ## examine it and other trackers (INSTALL=1)
	$(BUN) test/conformance/run.ts $(if $(INSTALL),--install) \
	  $(if $(TRACKER),--tracker $(TRACKER))
	$(BUN) scripts/documents.ts

.PHONY: bench compare costs regress scaling http-workers handshakes lists pull cluster-cost cluster-latency stalls restart
bench: $(MODULES_STAMP) ## measure the core: ns per announce, bytes per peer
	$(BUN) test/bench/core.bench.ts

compare: $(BINARY) ## measure the tracker against others on this machine
	$(BUN) test/bench/compare.ts

costs: $(BINARY) ## measure HTTPS, WebSockets, a cluster (needs nats-server)
	$(BUN) test/bench/costs.ts

regress: $(BINARY) ## measure it against an older binary (OLD=path)
	$(BUN) test/bench/regress.ts --old $(or $(OLD),'')

scaling: $(BINARY) ## measure what more threads carry: core and UDP
	$(BUN) test/bench/scaling.ts

http-workers: $(BINARY) ## measure HTTP and HTTPS with more threads
	$(BUN) test/bench/http-workers.ts

# Needs openssl.
handshakes: $(BINARY) ## measure what a connection over TLS costs
	$(BUN) test/bench/handshakes.ts

lists: $(MODULES_STAMP) ## measure the access lists: reading and lookups
	$(BUN) test/bench/lists.ts

pull: $(BINARY) ## measure a pull of ten million peers (needs nats-server)
	$(BUN) test/bench/pull.ts

# Ten minutes.
cluster-cost: $(BINARY) ## measure what sharing peers costs (needs nats-server)
	$(BUN) test/bench/cluster-cost.ts

cluster-latency: $(BINARY) ## measure how soon others know a peer (needs nats-server)
	$(BUN) test/bench/cluster-latency.ts

stalls: $(BINARY) ## measure delays of announces: exports, reloads, sweep
	$(BUN) test/bench/stalls.ts

restart: $(BINARY) ## measure a restart that keeps swarms and sockets
	$(BUN) test/bench/restart.ts
	$(BUN) test/bench/kept-requests.ts

clean: ## remove all files that were built or fetched
	rm -rf dist/bin .tools node_modules

$(MODULES_STAMP): package.json bun.lock scripts/bun
	$(BUN) install --frozen-lockfile --ignore-scripts
	@touch $@

$(BINARY): $(SOURCES) $(MODULES_STAMP) $(COMMIT_STAMP) Makefile tsconfig.json
	$(COMPILE) --outfile $@

# The binary contains its commit, so a new commit needs a new binary.
$(COMMIT_STAMP): FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@

# Releases. Each binary has its own folder, because its name is part of its bytes.

TARGETS := linux-x64 linux-arm64 linux-x64-musl linux-arm64-musl freebsd-x64 freebsd-arm64 \
  darwin-x64 darwin-arm64 windows-x64
PROGRAMS := $(TARGETS:%=dist/bin/%/buntracker)
PROGRAMS := $(PROGRAMS:dist/bin/windows-%=dist/bin/windows-%.exe)
# Files in an archive have the time of the commit.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
comma := ,
space := $() $()
ENGINE ?= $(firstword $(foreach engine,podman docker buildah,$(shell command -v $(engine))))
CONTEXT := .tools/context

dist: $(PROGRAMS) ## write the release archives into dist/bin
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(BUN) scripts/release.ts

# Those that an emulator, or another C library, can run.
RUN_HERE := linux-arm64 linux-x64-musl linux-arm64-musl

# Needs Debian's qemu-user, libc6-arm64-cross and nats-server, and pip.
test-targets: $(BINARY) $(RUN_HERE:%=dist/bin/%/buntracker) ## run binaries for other machines
	$(BUN) test/targets/run.ts

# The last version of nfpm whose modules can all be had.
NFPM_VERSION := v2.45.2
NFPM := .tools/nfpm-$(NFPM_VERSION)/nfpm
# The processors that packages are made for.
MACHINES := x64 arm64
PACKED := $(foreach machine,$(MACHINES),$(foreach target,linux-% linux-%-musl freebsd-%,\
  dist/bin/$(subst %,$(machine),$(target))/buntracker))

PACKED_X64 := $(filter %x64/buntracker %x64-musl/buntracker,$(PACKED))

# Needs Go. MACHINES=x64 makes half of them.
packages: $(NFPM) $(PACKED) ## write the packages of all systems into dist/bin
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) NFPM=$(NFPM) \
	  $(BUN) scripts/packages.ts --machines $(subst $(space),$(comma),$(MACHINES))

# What test-packages and test-targets wait for most where nothing has been fetched yet.
packaging-tools: $(NFPM) $(PACKED_X64) $(RUN_HERE:%=dist/bin/%/buntracker) ## fetch and build what test-packages and test-targets need

# Needs root and Debian; nothing is installed on this machine.
test-packages: ## install, upgrade and remove them on a machine apart
	$(MAKE) --no-print-directory packages MACHINES=x64
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) NFPM=$(NFPM) $(BUN) test/packages/run.ts

$(NFPM):
	GOBIN=$(abspath $(@D)) GOFLAGS= CGO_ENABLED=0 PATH="$$PATH:/usr/local/go/bin" \
	  go install -trimpath github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)

test-dist: $(MODULES_STAMP) ## build them twice, compare and check: 15 minutes
	$(BUN) test/dist/run.ts

# The archives of HEAD.
container-dist: ## the same in a container (ENGINE=podman)
	$(if $(ENGINE),,$(error install podman, docker or buildah, or name one: ENGINE=))
	rm -rf $(CONTEXT)
	mkdir -p $(CONTEXT) dist/bin
	git archive HEAD | tar -x -C $(CONTEXT)
	$(ENGINE) build $(ENGINE_OPTIONS) --file dist/docker/Containerfile.build \
	  --build-arg COMMIT=$(COMMIT) --build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
	  --output type=local,dest=dist/bin $(CONTEXT)

# Checks only with installed programs.
lint-dist: ## check the packaging with systemd, shellcheck and others
	scripts/lint-dist

$(PROGRAMS): $(SOURCES) $(MODULES_STAMP) $(COMMIT_STAMP) Makefile tsconfig.json
	@mkdir -p $(@D)
	$(COMPILE) --target=bun-$(notdir $(@D)) --outfile $@
