#!/usr/bin/env bash
# What taskpass issues, publishes and logs, judged by software that is not ours.
#
#   tests/interop/run.sh [--binary FILE] [PART...]
#
# One broker is started and one set of credentials issued; then each part runs, or those that are named:
#
#   python    PyJWT, joserfc, pyca/cryptography; forged tokens also against `taskpass verify`
#   node      jose, openid-client, a status-list library
#   openssl   chains and revocation lists
#   nginx     as a front with mutual TLS
#   go        go-oidc, go-jose, go-spiffe
#   oauth     Authlib and openid-client at the OAuth endpoints
#   audit     the audit log, by Python and by what Go's checksum database verifies logs with
#   siem      the log as events, by the published schemas of OCSF and CloudEvents
#   html      the pages of reports, in headless Chromium
#
# One line for each check. The exit code is 1 if one did not hold; 77 if a part was not run because a tool is
# missing, which its line says; else 0. With CI=true and as root, what is missing is installed by
# apt-get first. Everything else goes into a folder that is removed at the end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=(python node openssl nginx go oauth audit siem html)
binary=${CARGO_TARGET_DIR:-$here/../../target}/release/taskpass
if [[ ${1:-} == --binary ]]; then
    binary=$(realpath "$2")
    shift 2
fi
if (($# > 0)); then
    parts=("$@")
fi
for part in "${parts[@]}"; do
    [[ -x $here/$part/run.sh ]] || {
        echo "there is no part $part"
        exit 2
    }
done

work=$(mktemp -d)
log=$work/checks.log
broker=
finish() {
    if [[ -n $broker ]]; then
        kill "$broker" 2>/dev/null || true
        wait "$broker" 2>/dev/null || true
    fi
    # Go keeps what it downloaded read-only.
    chmod -R u+w "$work" && rm -rf "$work"
}
trap finish EXIT

# shellcheck source=tests/interop/lib.sh
source "$here/lib.sh"

[[ -x $binary ]] || {
    echo "there is no binary at $binary; build it with: cargo build --release"
    exit 1
}
install_tools "${parts[@]}"
need openssl openssl
need python3 python3-venv
python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 ||
    not_run "python3 cannot make a virtual environment (package python3-venv)"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: \
    -r "$here/python/requirements.txt" >"$work/pip.log" 2>&1 ||
    not_run "pip could not install $(tr '\n' ' ' <"$here/python/requirements.txt"): $(tail -n 1 "$work/pip.log")"

"$binary" dev --data "$work/dev" \
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
export INTEROP_TASKPASS=$binary INTEROP_WORK=$work INTEROP_PYTHON=$work/venv/bin/python
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
export PYTHONPATH=$here/python PYTHONDONTWRITEBYTECODE=1

# From here on the log must only have grown.
until "$binary" audit checkpoint >"$work/since" 2>"$work/since.err"; do
    grep -q LOG_NOT_FOUND "$work/since.err" || {
        cat "$work/since.err"
        exit 1
    }
    sleep 0.1
done
"$INTEROP_PYTHON" "$here/python/prepare.py" "${parts[@]}" forged openssl-other nginx-other

failed=()
missing=()
for part in "${parts[@]}"; do
    echo "--- $part"
    began=$SECONDS
    code=0
    "$here/$part/run.sh" 2>&1 | tee -a "$log" || code=$?
    case $code in
    0) ;;
    77) missing+=("$part") ;;
    *) failed+=("$part") ;;
    esac
    echo "    $((SECONDS - began)) s"
done

echo "$(grep -c '^ok ' "$log" || true) checks held, $(grep -c '^FAILED ' "$log" || true) did not;" \
    "parts that failed: ${failed[*]:-none}; parts not run, or not all of them: ${missing[*]:-none}"
((${#failed[@]} == 0)) || exit 1
((${#missing[@]} == 0)) || exit 77
