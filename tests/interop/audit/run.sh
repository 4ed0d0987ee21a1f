#!/usr/bin/env bash
# The audit log of the broker: exported and verified by taskpass, then by checkers that share no code with
# it. All of them must see one changed byte.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"

work=$INTEROP_WORK
taskpass=$INTEROP_TASKPASS
"$taskpass" audit export --out "$work/audit" >"$work/export.out"
sleep 1.5 # until what the other parts did last is logged too
"$taskpass" audit export --out "$work/audit" >"$work/export.out"
"$taskpass" audit query --kind credential.token --outcome allow --limit 1 --output json >"$work/token.json"
credential=$("$INTEROP_PYTHON" -c \
    'import json, sys; print(json.load(sys.stdin)["entries"][0]["entry"]["credential"]["id"])' \
    <"$work/token.json")
"$taskpass" audit proof "$credential" --out "$work/token.tlog-proof" >"$work/proof.out"
vkey=$(find "$work/audit" -maxdepth 1 -name '*.vkey' | sort | head -n 1)

# holds NAME COMMAND...: one line of what it said last.
holds() {
    local name=$1 said
    shift
    said=$(env -u TASKPASS_ADDR -u TASKPASS_IDENTITY "$@" 2>&1) || fail "$name: $(tail -n 1 <<<"$said")"
    ok "$name: $(tail -n 1 <<<"$said")"
}

# notices NAME COMMAND... FOLDER: must hold; with one bit of an entry turned, it must not.
notices() {
    local name=$1 root=${*: -1} bundle was
    holds "$@"
    shift
    bundle=$(find "$root" -path '*/tile/entries/*' -type f | sort -V | tail -n 1)
    was=$(od -An -tu1 -j100 -N1 "$bundle")
    turn "$bundle" $((was ^ 1))
    if "$@" >"$work/notices.out" 2>&1; then
        fail "$name does not notice a changed entry"
    fi
    turn "$bundle" $((was))
    ok "$name notices a changed entry: $(tail -n 1 "$work/notices.out" | sed "s|$work/||g")"
}

# turn FILE BYTE: writes the byte at a place within the first entry.
turn() {
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %x "$2")" | dd of="$1" bs=1 seek=100 conv=notrunc 2>/dev/null
}

holds "taskpass audit verify" "$taskpass" audit verify "$work/audit" --key "$vkey" --since "$work/since"
holds "taskpass audit verify-proof" "$taskpass" audit verify-proof "$work/token.tlog-proof" --key "$vkey"
python_check=("$INTEROP_PYTHON" "$here/../python/tlog_check.py")
notices "Python" "${python_check[@]}" --since "$work/since" "$work/audit"

# Logs of several months and sizes, which a broker of a few seconds does not have.
missing=
if command -v cargo >/dev/null; then
    example() {
        (cd "$here/../../.." && cargo run --quiet --locked -p taskpass-log --example "$@")
    }
    example sample_log "$work/log" 700
    holds "Python, 700 entries" "${python_check[@]}" "$work/log" "$(cat "$work/log.vkey")" --since "$work/log.since"
    example sample_months "$work/months"
    notices "Python, three months" "${python_check[@]}" --since "$work/months.since" "$work/months"
    holds "taskpass audit verify, three months" "$taskpass" audit verify "$work/months" --since "$work/months.since"
else
    missing="the checks of more than one month (they need cargo to make the logs)"
    echo "not run: $missing"
fi

source "$here/../go/tool.sh"
build_go tlog
notices "Go's sumdb" "$work/go-tlog" -since "$work/since" -proof "$work/token.tlog-proof" "$work/audit"
if [[ -d $work/months ]]; then
    notices "Go's sumdb, three months" "$work/go-tlog" -since "$work/months.since" "$work/months"
fi
[[ -z $missing ]] || exit 77
