#!/usr/bin/env bash
# The log as events of OCSF and CloudEvents, by the schemas that their projects publish: the log of this run,
# and an entry of every kind that there is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
# shellcheck source=tests/interop/node/tool.sh
source "$here/../node/tool.sh"

events=$INTEROP_WORK/events
mkdir "$events"
"$INTEROP_PYTHON" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
    -r "$here/requirements.txt" >"$INTEROP_WORK/pip-siem.log" 2>&1 ||
    not_run "pip could not install $(tr '\n' ' ' <"$here/requirements.txt"): $(tail -n 1 "$INTEROP_WORK/pip-siem.log")"
install_node

"$INTEROP_PYTHON" "$here/deeds.py"
sleep 1.5 # until these are logged too
entries=$here/../../../crates/taskpass-report/src/siem/entries.jsonl
missing=
for form in ocsf cloudevents; do
    "$INTEROP_TASKPASS" audit export --format "$form" --out "$events/log.$form" >"$INTEROP_WORK/export.out"
    if command -v cargo >/dev/null; then
        (cd "$here/../../.." && cargo run --quiet --locked -p taskpass-report --example siem "$form") \
            <"$entries" >"$events/kinds.$form"
    else
        missing="the checks of every kind of entry (they need cargo to make the events)"
    fi
done

for file in "$events"/*.ocsf; do
    "$INTEROP_PYTHON" "$here/ocsf.py" "$file"
done
for file in "$events"/*.cloudevents; do
    "$INTEROP_PYTHON" "$here/events.py" "$file"
    (cd "$INTEROP_WORK/node" && node events.mjs "$file")
done
if [[ -n $missing ]]; then
    echo "not run: $missing"
    exit 77
fi
