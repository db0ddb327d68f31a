.PHONY: run build check test

# The gateway with a PBX of its own; prints the URL of the phone.
run:
	go run ./gateway/cmd/tandem demo

build:
	go build -trimpath -o bin/tandem ./gateway/cmd/tandem

check:
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...

test:
	go test -race ./...
