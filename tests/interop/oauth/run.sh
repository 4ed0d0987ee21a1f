#!/usr/bin/env bash
# The OAuth endpoints, used by Authlib and by openid-client.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
# shellcheck source=tests/interop/node/tool.sh
source "$here/../node/tool.sh"

# Makes the keys that the clients use, and registers them.
"$INTEROP_PYTHON" "$here/../python/oauth_client.py"
install_node
cd "$INTEROP_WORK/node"
# The front is certified by the broker's own authority.
NODE_EXTRA_CA_CERTS=$INTEROP_WORK/dev/identities/invoice-bot/ca.pem node oauth.mjs
