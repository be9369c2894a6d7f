# Every command of this project. `make help` lists them.
#
# `make build` and `make test` compile with the same profile, target and feature set, so that each dependency is
# compiled once for both. cargo-lambda always names the target to cargo, therefore the tests name it too; and its own
# release settings are switched off, because they would be a second profile: [profile.release] in Cargo.toml decides.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
CARGO_TEST := cargo test --release --workspace --locked --target $(HOST)
TEMPLATES := infra/vault.yaml infra/key.yaml infra/backup.yaml

export PATH := $(TOOLS)/bin:$(PATH)
export BACKUP_TEST_TOOLS := $(TOOLS)

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: demo
demo: ## backup, loss and restore on this machine, from nothing
	@infra/local/demo $(ARGS)

.PHONY: up
up: tools build page ## start the same stack for a developer, with the page of the app, and print its URLs
	@infra/local/stack up $(ARGS)

.PHONY: status
status: ## say what is running
	@infra/local/stack status

.PHONY: down
down: ## end the stack and every process that it started
	@infra/local/stack down

.PHONY: tools
tools: ## install the pinned tools into .tools/
	@infra/tools/install

.PHONY: build
build: tools ## build the functions' zips and the layers into target/lambda/
	@echo 'build: the functions, as zips'
	@cargo-lambda lambda build --release --workspace --locked --compiler cargo --disable-optimizations --output-format zip
	@echo 'build: the layer with pg_dump'
	@infra/layer/build $(foreach major,15 17 18,--from $(major)=$(TOOLS)/clients/$(major)) --out target/lambda/pg-client.zip
	@echo 'build: the layer with a PostgreSQL server, for drills'
	@infra/layer/build --server $(TOOLS)/postgres/18 --out target/lambda/pg-server.zip --folder target/lambda/pg-server

.PHONY: test
test: tools build ## all tests, with their own set-up
	@echo 'test: the workspace'
	@$(CARGO_TEST)
	@$(MAKE) --no-print-directory test-app

.PHONY: app
app: tools ## install what app/ is made with, as its lock file has it
	@cd app && npm ci --no-audit --no-fund --loglevel=error

.PHONY: page
page: app ## build the page of the app into app/harness/dist/
	@cd app && npm run --silent build

.PHONY: test-app
test-app: app ## the app by itself, and with the API on a stack of its own
	@docs/render-api --check
	@echo 'test: the app: client, component, pages in a browser, bytecode for a phone'
	@cd app && BACKUP_BROWSER="$$(../infra/tools/browser)" npm run --silent check
	@BACKUP_LOCAL_DIR=target/check-api infra/local/check-api
	@BACKUP_LOCAL_DIR=target/check-api infra/local/check-rights

.PHONY: pictures
pictures: ## put some of the pictures that make test-app took together in docs/pictures/
	@cd app/harness && BACKUP_BROWSER="$$(../../infra/tools/browser)" ../../.tools/bin/node pictures.ts

.PHONY: check
check: ## what CI runs: formatting, lints, tests, dependencies, templates
	@echo 'check: formatting'
	@cargo fmt --all --check
	@infra/tools/install --deny
	@echo 'check: templates'
	@cfn-lint --regions eu-west-1 us-east-1 ap-southeast-1 --template $(TEMPLATES)
	@echo 'check: dependencies'
	@cargo-deny check bans licenses sources
	@echo 'check: lints'
	@cargo clippy --release --workspace --all-targets --locked --target $(HOST) -- -D warnings
	@$(MAKE) --no-print-directory test

.PHONY: openapi
openapi: ## write the document of the API, its page and the types of the client anew from the code
	@cargo run --quiet --release --locked --target $(HOST) --package api -- openapi > target/openapi.json
	@mv target/openapi.json docs/openapi.json
	@$(MAKE) --no-print-directory app
	@cd app && npm run --silent schema
	@docs/render-api
	@echo 'openapi: docs/openapi.json, docs/api.md and the types of the client are written'

.PHONY: plan
plan: tools ## what prune would remove now, and why each backup stays; ARGS='--project P --region R'
	@infra/plan $(ARGS)

.PHONY: rotate
rotate: tools ## replace the key, and seal everything again; ARGS='--new-key', later ARGS='--finish'
	@infra/rotate $(ARGS)

FILE ?= infra/local/sample/policies.json
.PHONY: policies
policies: ## check a file of policies and say what each class means; FILE=policies.json
	@cargo run --quiet --release --locked --target $(HOST) --package engine --example check_policies -- $(FILE)

HISTORIES ?= 2000
SCHEDULES ?= 20000
.PHONY: rehearse
rehearse: tools build ## cause what the runbook is for, on a stack of its own, and do what it says; ARGS='--only Drill'
	@BACKUP_LOCAL_DIR=target/rehearse infra/local/rehearse $(ARGS)

.PHONY: soak
soak: tools ## thousands of random histories and schedules; HISTORIES=2000 SCHEDULES=20000
	@echo 'soak: $(SCHEDULES) schedules of everything at once, in memory, about 20 a second'
	@BACKUP_SCHEDULES=$(SCHEDULES) BACKUP_SCHEDULE_SEED=$${BACKUP_SCHEDULE_SEED:-$$((RANDOM * 100000))} \
		$(CARGO_TEST) --test it schedules:: -- --nocapture
	@echo 'soak: $(HISTORIES) histories of a database, each step backed up and restored, about 6 s each on 2 cores'
	@BACKUP_HISTORIES=$(HISTORIES) BACKUP_HISTORY_SEED=$${BACKUP_HISTORY_SEED:-$$((RANDOM * 100000))} \
		$(CARGO_TEST) --test it histories:: -- --nocapture

.PHONY: bench
bench: tools build ## measure against pg_dump, restic and the raw cipher; writes target/bench/summary.json
	@benches/peers
	@echo 'bench: a database of 1 GB, about 13 minutes'
	@cargo run --release --locked --manifest-path benches/Cargo.toml --target-dir target/bench-build -- $(ARGS)

.PHONY: bench-api
bench-api: tools build ## many people who look at the API at once; ARGS='--people 8 --seconds 20'
	@BACKUP_LOCAL_DIR=target/bench-api benches/api $(ARGS)

.PHONY: bench-app
bench-app: tools page ## the page of the app in a browser: first paint, and scrolling; ARGS='--rounds 5'
	@benches/app $(ARGS)

.PHONY: fmt
fmt: ## format the code
	@cargo fmt --all

.PHONY: clean
clean: down ## remove what was built and the data of the stack; the tools stay
	@rm -rf target .local app/node_modules app/*/lib app/harness/dist app/example/.expo
	@echo 'clean: target/, .local/ and what app/ was made with removed'
