.PHONY: run build modules check lab test fuzz fuzz-media bench-setup bench-media bench-transcode bench-sip bench-turn bench-route soak

UNIT = $(shell go list ./... | grep -v /e2e)
FUZZTIME ?= 60s
FUZZ ?= ^Fuzz
MINIMIZE ?= 60s

# The gateway with a PBX of its own; prints the URL of the phone.
run:
	go run ./gateway/cmd/tandem demo

build:
	go build -trimpath -o bin/tandem ./gateway/cmd/tandem

# The dependencies' sources; who has them may fail now and then.
modules:
	@for pause in 5 20 60 0; do go mod download && exit; echo "go mod download failed, again in $$pause s" >&2; sleep $$pause; done; exit 1

# What needs no peer: formatting, vet, the map of the folders, the go.mod.
check: modules
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go mod tidy -diff
	go mod verify

# The tests' peers, from packages.
lab:
	e2e/lab/install

test: modules lab
	go build ./...
	go test -race -parallel 8 -timeout 40m $(UNIT) # tests of calls wait more than they work
	$(MAKE) fuzz-media FUZZTIME=10000x MINIMIZE=0x
	go test -race -timeout 40m ./e2e/...

# Ten thousand calls of mixed kinds, after which nothing may be left; make test has some hundreds. And a quarter of an hour with Asterisk,
# whose session timers cannot be shortened.
soak: lab
	SOAK=10000 go test -run '^TestNothingIsLeft$$' -timeout 40m -v ./e2e
	go test -run '^$$' -bench '^BenchmarkAsteriskSessions$$' -benchtime 1x -timeout 30m -v ./e2e

# Every fuzz target whose name matches FUZZ for FUZZTIME: a duration, or a count as 20000x. Each folder's binary is built once.
fuzz:
	@set -e; built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; \
	grep -rEl --include=*_test.go '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r folder; do \
		targets=$$(grep -hoE '^func Fuzz[A-Za-z0-9]*' "$$folder"/*_test.go | sed 's/^func //' | grep -E '$(FUZZ)') || continue; \
		go test -c -fuzz . -o "$$built/fuzz" "$$folder"; \
		for target in $$targets; do \
			echo "$$target in $$folder"; \
			(cd "$$folder" && "$$built/fuzz" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzminimizetime $(MINIMIZE) -test.fuzzcachedir "$$(go env GOCACHE)/fuzz/tandem/$$folder") || exit 1; \
		done; \
	done

# The parsers that packets and descriptions of strangers meet: STUN, demultiplexing, ChannelData, RTP, RTCP, RFC 4571, SDP.
fuzz-media:
	@$(MAKE) fuzz FUZZ='^Fuzz(STUN|BrowserPort|ClientPort|Port|RTP|RTCP|Feedback|Path|MapExtension|Frames|Records|HearOffer|HearAnswer)$$$$'

# Ten calls from Chromium to Asterisk through Tandem and through Kamailio + rtpengine, in turns.
bench-setup:
	e2e/lab/install kamailio kamailio-websocket-modules kamailio-tls-modules rtpengine-daemon coturn openssl
	go test -run '^$$' -bench '^BenchmarkSetup$$' -benchtime 1x -timeout 20m ./e2e

# Calls whose packets cross Tandem, rtpengine and two forwarders without encryption, in turns; BENCHMARKS.md tells of the
# variables and the columns. About ten minutes; a first look: make bench-media CALLS=100 RUNS=1 PARTS=gcm
bench-media:
	e2e/lab/install kamailio kamailio-websocket-modules kamailio-tls-modules rtpengine-daemon coturn openssl
	go test -run '^$$' -bench '^BenchmarkMedia$$' -benchtime 1x -timeout 20m ./e2e

# What converting audio costs: the codecs alone, by codec, loss and what the browser was told of the far side's band; then whole calls
# through Tandem and rtpengine, in turns. Variables as of bench-media.
bench-transcode:
	e2e/lab/install kamailio kamailio-websocket-modules kamailio-tls-modules rtpengine-daemon coturn openssl
	go test -run '^$$' -bench '^BenchmarkCall$$' -benchtime 2s ./bridge/media/codec
	go test -run '^$$' -bench '^BenchmarkTranscode$$' -benchtime 1x -timeout 20m ./e2e

# What SIP alone costs: calls of a trunk to a pool beside Kamailio, idle WebSockets, and a storm of registrations.
bench-sip:
	e2e/lab/install kamailio kamailio-websocket-modules kamailio-tls-modules
	go test -run '^$$' -bench '^BenchmarkSIP$$' -benchtime 1x -timeout 20m ./e2e

# What a relayed packet and an allocation cost beside coturn.
bench-turn:
	e2e/lab/install
	go test -run '^$$' -bench '^BenchmarkTURN$$' -benchtime 1x -timeout 20m ./e2e

# What a decision of the routes costs: by a thousand rules, and by a table of a million prefixes.
bench-route:
	go test -run '^$$' -bench '^BenchmarkRoute$$' -benchtime 1x ./bridge/route
