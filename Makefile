# Everything one does with Usher from a shell. Each target calls a script of its own in scripts/.

.DEFAULT_GOAL := help
.PHONY: help run demo test test-kafka soak crowd bench lint web prepare clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 12

run: ## Install what is missing, build, and run all of Usher on private servers under .data/
	@exec scripts/run.sh

demo: ## Load the demo data into the database that DATABASE_URL names, unless it has events
	@exec scripts/run.sh demo

test: ## Every test, on real PostgreSQL and Redis, closing with their count
	@exec scripts/test.sh

test-kafka: ## The event stream against a broker that speaks Kafka's protocol; the first time builds it
	@exec scripts/test-kafka.sh

soak: ## The longer proofs, and the figures
	@exec scripts/soak.sh

crowd: ## Some 2,000 simulated shoppers against the Usher that `make run` runs
	@exec scripts/bench.sh crowd $(ARGS)

bench: ## The figures, beside this machine's own limits
	@exec scripts/bench.sh figures $(ARGS)

lint: ## Formatting, clippy, rustdoc, shell scripts; installs what compiling takes, no servers
	@exec scripts/lint.sh

web: ## Build the web pages
	@exec scripts/web.sh

prepare: ## Renew .sqlx after a change of SQL or migrations
	@exec scripts/prepare.sh

clean: ## Remove what was built; data under .data/ stays
	cargo clean
	rm -rf web/dist web/node_modules
