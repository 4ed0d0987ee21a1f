#!/usr/bin/env bash
# Tokens and SVIDs, judged in Go.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
# shellcheck source=tests/interop/go/tool.sh
source "$here/tool.sh"

build_go tokens
build_go spiffe
"$INTEROP_WORK/go-tokens"
"$INTEROP_WORK/go-spiffe"
