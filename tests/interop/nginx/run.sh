#!/usr/bin/env bash
# nginx in front of an API: who is let in with a task's certificate, and who is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
PATH=$PATH:/usr/sbin
need nginx nginx
nginx -v 2>&1

"$INTEROP_PYTHON" "$here/front.py"
