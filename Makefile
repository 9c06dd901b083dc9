# Go alone is needed for `make run`. `make test` also uses Node, and by apt gets
# what else it misses.
.PHONY: run build test check bench generate generated web typescript dist webtest browsers chaos cluster fuzz needs format vet

# Packages where goroutines meet: their tests run under the race detector.
RACE = ./actors/... ./gateway/... ./internal/mongostore/... ./internal/peers/... ./internal/redisstreams/... ./plugins/... ./pushctr/... ./userctr/...
# It opens hundreds of damaged stores, one after the other: under the race detector
# that takes minutes and shows nothing. It runs without.
SLOW = ADamagedFileIsNamed
REST = $$(go list ./... | grep -v -E '^github.com/troupe-im/troupe/(actors|gateway|internal/mongostore|internal/peers|internal/redisstreams|plugins|pushctr|userctr)(/|$$)')

run: build
	./troupe serve

build:
	go build -o troupe .

# Everything that has to hold before a change is merged. The tests come last, so
# that their results are the last thing one reads.
test: export TROUPE_TEST_NEED ?= chromium,ferretdb,ffmpeg,node,redis
test: needs format vet generated typescript dist webtest
	go test -race -timeout 15m $(RACE)
	go test -race -timeout 15m -skip '$(SLOW)' ./internal/pebblestore
	go test -timeout 15m $(REST)

# The same without installing anything.
check: format vet generated typescript dist webtest
	go test -race -timeout 15m $(RACE)
	go test -race -timeout 15m -skip '$(SLOW)' ./internal/pebblestore
	go test -timeout 15m $(REST)

needs:
	@.ci/needs

format:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt these:"; echo "$$unformatted"; exit 1; }

vet:
	go vet ./...

bench:
	go test -run '^$$' -bench . -benchmem ./internal/protocol ./pushctr ./actors ./internal/pebblestore ./internal/redisstreams ./filectr ./filectr/picture ./plugins/desk ./plugins/sdk/conformance
	go build -o troupe .
	./troupe load --spawn --floor --repeat 3 p2p group
	./troupe load --spawn --floor --repeat 3 --window 1 p2p
	./troupe load --spawn --floor --repeat 3 --groups 1x1000 group
	./troupe load --spawn --floor --repeat 3 idle
	./troupe load --spawn --repeat 3 catchup
	./troupe load --spawn --settle 30s --connections 19000 idle
	./troupe load --spawn history
	./troupe load --spawn files
	cd web-embed && npm run --silent bench -w @troupe/e2e

generate:
	go generate ./...

# What is generated and committed is what the generator makes today.
generated:
	@.ci/generated

# What browsers run: packages of one npm workspace. Its tests run the real server.
typescript: web-embed/node_modules/.package-lock.json
	cd web-embed && npm run --silent check

# What the binary serves is built and committed: see .ci/dist.
dist: web-embed/node_modules/.package-lock.json
	@.ci/dist

webtest: web-embed/node_modules/.package-lock.json
	cd web-embed && npm run --silent test
	cd web-embed && npm run --silent sizes -w @troupe/client
	cd web-embed && npm run --silent sizes -w @troupe/embed

web-embed/node_modules/.package-lock.json: web-embed/package.json web-embed/package-lock.json $(wildcard web-embed/*/package.json)
	cd web-embed && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# The web chat in Firefox and WebKit, where they are installed; what is missing is said.
browsers: web-embed/node_modules/.package-lock.json
	cd web-embed && npm run --silent smoke -w @troupe/e2e

# Builds what the binary serves. Whoever changes what browsers run commits the result.
web: web-embed/node_modules/.package-lock.json typescript
	cd web-embed && npm run --silent build -w @troupe/embed

# Kills the real server under load, again and again, and checks what it kept; then
# plants bugs, each of which has to be caught.
chaos:
	go run ./cmd/chaos
	go run ./cmd/chaos -prove

# Three real nodes, Redis and FerretDB: each kind of thing that goes wrong, a new
# installation for each family of them, as FerretDB gets slow with what it has. More users
# and requests than these it does not carry on two cores: docs/reliability.md.
cluster:
	go run ./cmd/chaos -nodes 3 -users 8 -rate 8 -faults node
	go run ./cmd/chaos -nodes 3 -users 8 -rate 8 -faults network
	go run ./cmd/chaos -nodes 3 -users 8 -rate 8 -faults redis
	go run ./cmd/chaos -nodes 3 -users 8 -rate 8 -faults sentinel -sentinel -troubles 3
	go run ./cmd/chaos -nodes 3 -users 8 -rate 8 -faults mongo

FUZZTIME ?= 30s
fuzz:
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for test in $$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' $$package | cut -d' ' -f2); do \
			go test -run '^$$' -fuzz "^$$test$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done
