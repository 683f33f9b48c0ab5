# Needs git, GNU make and npm (or Bun); everything else is fetched into this directory. `make help`.

BUN := scripts/bun
BINARY := dist/bin/buntracker
VERSION := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
COMMIT := $(shell git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)
# Folders count too: they change when a file comes or goes.
SOURCES := $(shell find src)
# A worker is a program of its own inside the binary.
ENTRIES := src/main.ts $(wildcard src/udp/worker.ts)
COMMIT_STAMP := .tools/commit
MODULES_STAMP := node_modules/.installed

.DELETE_ON_ERROR:
.PHONY: help run build test check format docs clients clean FORCE

help: ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: $(BINARY) ## build the tracker and run it
	@exec $(BINARY)

build: $(BINARY) ## build dist/bin/buntracker

test: check $(BINARY) ## check format and types, then run all tests
	$(BUN) test

check: $(MODULES_STAMP) ## check the format and the types
	$(BUN) fmt --check
	$(BUN) check

format: $(MODULES_STAMP) ## put all files into the format that check asks for
	$(BUN) fmt

docs: $(MODULES_STAMP) ## write the README's table and the example file from the settings
	$(BUN) scripts/documents.ts

clients: $(BINARY) ## let real BitTorrent clients find each other through the tracker
	$(BUN) test/clients/run.ts

clean: ## remove what was built and fetched
	rm -rf dist/bin .tools node_modules

$(MODULES_STAMP): package.json bun.lock scripts/bun
	$(BUN) install --frozen-lockfile --ignore-scripts
	@touch $@

$(BINARY): $(SOURCES) $(MODULES_STAMP) $(COMMIT_STAMP) Makefile tsconfig.json
	$(BUN) build --compile --minify --sourcemap \
	  --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
	  --define BUILD_VERSION='"$(VERSION)"' --define BUILD_COMMIT='"$(COMMIT)"' \
	  $(ENTRIES) --outfile $@

# The binary names its commit, so a new commit is a new binary.
$(COMMIT_STAMP): FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
