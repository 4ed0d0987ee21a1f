#!/usr/bin/env bash
# Tokens, certificates and forgeries, judged in Python; and forgeries judged by `taskpass verify`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

"$INTEROP_PYTHON" tokens.py
"$INTEROP_PYTHON" strict.py
"$INTEROP_PYTHON" certificate.py
