# shellcheck shell=bash
# Builds the Go programs of this folder; sourced after lib.sh.

# build_go NAME: the program in that folder, as go-NAME in the work folder. Ends the part if there is no Go,
# or none new enough that it could fetch the one that go.mod asks for.
build_go() {
    PATH=$PATH:/usr/local/go/bin
    need go golang-go
    (cd "$(dirname "${BASH_SOURCE[0]}")" && GOFLAGS=-mod=readonly go build -o "$INTEROP_WORK/go-$1" "./$1") \
        >"$INTEROP_WORK/go-$1.log" 2>&1 && return
    # What does not compile is our fault; what cannot be fetched is the machine's.
    if grep -q '^\./\|^[a-z]*/main\.go:' "$INTEROP_WORK/go-$1.log"; then
        fail "$(head -n 3 "$INTEROP_WORK/go-$1.log")"
    fi
    not_run "the Go program $1 could not be built by $(go version): $(tail -n 1 "$INTEROP_WORK/go-$1.log")"
}
