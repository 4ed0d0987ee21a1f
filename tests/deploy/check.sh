#!/usr/bin/env bash
# Checks deploy/ with the tools that read it in earnest: promtool the alerts and their tests,
# systemd the unit, yamllint the manifests. In CI (CI=true) installs them by apt-get. What is not
# there elsewhere is said, and the exit code is 77.
#
#   check.sh [--binary TASKPASS]     with a binary, also passes it a socket as systemd does
set -euo pipefail
binary=
if [[ ${1:-} == --binary ]]; then
    binary=$(realpath "$2")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
missing=()

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    if [[ ${CI:-} == true && $(id -u) == 0 ]]; then
        # policy-rc.d: the package's own server must not be started.
        [[ -e /usr/sbin/policy-rc.d ]] || {
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
            made_policy=1
        }
        apt-get update -qq >"$scratch/apt.log" 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" \
            >>"$scratch/apt.log" 2>&1 || cat "$scratch/apt.log"
        if [[ ${made_policy:-} == 1 ]]; then
            rm -f /usr/sbin/policy-rc.d
            made_policy=
        fi
    fi
    command -v "$1" >/dev/null && return
    missing+=("$1")
    return 1
}

if need promtool prometheus; then
    promtool check rules deploy/prometheus/taskpass.rules.yaml
    promtool test rules deploy/prometheus/taskpass.rules.test.yaml
fi

if need yamllint yamllint; then
    yamllint --strict \
        -d '{extends: default, rules: {line-length: disable, document-start: disable}}' deploy
    echo "yamllint: the manifests and the alerts are well formed"
fi

if need systemd-analyze systemd; then
    # It wants the program to be there.
    root=$scratch/root
    install -D -m 755 /bin/true "$root/usr/local/bin/taskpass"
    for unit in deploy/taskpass.service deploy/taskpass.socket; do
        [[ -e $unit ]] || continue
        install -D -m 644 "$unit" "$scratch/units/$(basename "$unit")"
        sed -i "s#/usr/local/bin/taskpass#$root/usr/local/bin/taskpass#" "$scratch/units/$(basename "$unit")"
    done
    said=$(systemd-analyze verify "$scratch"/units/* 2>&1) || true
    if [[ -n $said ]]; then
        printf 'systemd-analyze verify says:\n%s\n' "$said"
        exit 1
    fi
    # 0 is best, 10 worst; what is above 2 has lost a restriction.
    systemd-analyze security --offline=true --threshold=20 "$scratch/units/taskpass.service" | tail -1
fi

# A free port of this machine; nobody else takes ports in this range meanwhile.
port() {
    echo $((20000 + (RANDOM + RANDOM) % 10000))
}

passed_socket() {
    local grpc http log=$scratch/activated.log code=0
    grpc=$(port) http=$(port)
    "$binary" init --data "$scratch/data" --trust-domain example.org \
        --public-url "http://127.0.0.1:$http" >/dev/null
    printf '%s\n' 'data = "."' '[key_encryption_key]' 'file = "kek"' \
        '[grpc]' "listen = \"127.0.0.1:$grpc\"" '[http]' "listen = \"127.0.0.1:$http\"" \
        '[ops]' 'listen = "127.0.0.1:0"' >"$scratch/data/ports.toml"
    systemd-socket-activate -l "127.0.0.1:$grpc" -l "127.0.0.1:$http" \
        "$binary" serve --config "$scratch/data/ports.toml" >"$log" 2>&1 &
    local pid=$!
    # The first connection starts it, and waits until it is there.
    timeout 60 curl -fsS --retry 30 --retry-connrefused --retry-delay 1 \
        "http://127.0.0.1:$http/.well-known/jwks.json" >"$scratch/jwks.json" || code=$?
    kill "$pid"
    wait "$pid" || true
    if ((code != 0)) || ! grep -q '"keys"' "$scratch/jwks.json"; then
        cat "$log"
        echo "the broker did not answer on the socket that it was passed"
        exit 1
    fi
    echo "systemd-socket-activate: answered on the sockets that were passed"
}

if [[ -n $binary ]] && need systemd-socket-activate systemd && need curl curl; then
    passed_socket
fi

if ((${#missing[@]} > 0)); then
    echo "not run: ${missing[*]} not installed"
    exit 77
fi
echo "deploy: everything holds"
