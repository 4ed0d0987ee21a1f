#!/usr/bin/env bash
# Tokens and status lists, judged in Node.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
# shellcheck source=tests/interop/node/tool.sh
source "$here/tool.sh"
install_node

cd "$INTEROP_WORK/node"
node tokens.mjs
node status.mjs
