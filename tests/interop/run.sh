#!/usr/bin/env bash
# What taskpass issues, judged by software that is not ours: PyJWT, pyca/cryptography, OpenSSL.
#
#   tests/interop/run.sh [path to the taskpass binary]
#
# Exit code 0: everything held. 1: something did not. 77: not run, because a tool is missing and
# could not be installed; the last line says which. Nothing is installed outside a folder that is
# removed at the end, but for openssl and python3 themselves, which apt-get brings where it may.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
taskpass=${1:-$here/../../target/release/taskpass}
work=$(mktemp -d)
broker=

finish() {
    if [[ -n $broker ]]; then
        kill "$broker" 2>/dev/null || true
        wait "$broker" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

not_run() {
    echo "not run: $*"
    exit 77
}

# need COMMAND PACKAGE: has the command, or gets it from the distribution's package.
need() {
    command -v "$1" >/dev/null && return
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
        apt-get install -y --no-install-recommends "$2" >"$work/apt.log" 2>&1 ||
            (apt-get update && apt-get install -y --no-install-recommends "$2") >"$work/apt.log" 2>&1 ||
            true
    fi
    command -v "$1" >/dev/null || not_run "$1 is missing, and the package $2 could not be installed"
}

[[ -x $taskpass ]] || {
    echo "there is no binary at $taskpass; build it with: cargo build --release"
    exit 1
}
need openssl openssl
need python3 python3

python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 ||
    not_run "python3 cannot make a virtual environment (package python3-venv)"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: \
    -r "$here/requirements.txt" >"$work/pip.log" 2>&1 ||
    not_run "pip could not install $(tr '\n' ' ' <"$here/requirements.txt"): $(tail -n 1 "$work/pip.log")"

"$taskpass" dev --data "$work/dev" \
    --grpc 127.0.0.1:0 --http 127.0.0.1:0 --ops 127.0.0.1:0 \
    >"$work/dev.out" 2>"$work/dev.err" &
broker=$!
for _ in $(seq 300); do
    [[ -f $work/dev/env ]] && break
    kill -0 "$broker" 2>/dev/null || break
    sleep 0.1
done
if [[ ! -f $work/dev/env ]]; then
    echo "the broker did not start:"
    cat "$work/dev.err"
    exit 1
fi
# shellcheck disable=SC1091 # written by the broker
source "$work/dev/env"

"$work/venv/bin/python" "$here/check.py" "$taskpass" "$work"

# The verifiable log: a checker that shares no code with ours accepts it, and sees one flipped byte.
if command -v cargo >/dev/null; then
    (cd "$here/../.." && cargo run --quiet --locked -p taskpass-log --example sample_log -- "$work/log" 700)
    tlog=("$work/venv/bin/python" "$here/tlog_check.py" "$work/log")
    vkey=$(cat "$work/log.vkey")
    "${tlog[@]}" "$vkey" --since "$work/log.since"
    bundle=$work/log/tile/entries/000
    printf '\377' | dd of="$bundle" bs=1 seek=100 conv=notrunc 2>/dev/null
    if "${tlog[@]}" "$vkey" >"$work/tlog.out" 2>&1; then
        echo "a changed entry was not noticed"
        exit 1
    fi
    echo "a changed entry is noticed: $(tail -n 1 "$work/tlog.out")"
else
    echo "not run: the log's checker (it needs cargo to make a log)"
fi
