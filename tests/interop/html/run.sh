#!/usr/bin/env bash
# The page of every report, opened in headless Chromium: nothing is loaded, nothing complains, it fits a
# screen and a telephone, and it prints. Three pages that are spoilt must be noticed.
#
#   INTEROP_SCREENSHOTS=DIR   keeps the pictures and the PDFs there, to be looked at
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
# shellcheck source=tests/interop/node/tool.sh
source "$here/../node/tool.sh"

taskpass=$INTEROP_TASKPASS
pages=$INTEROP_WORK/pages
for name in chromium chromium-browser google-chrome; do
    chromium=$(command -v "$name") && break
done
[[ -n $chromium ]] || not_run "no Chromium is here (package chromium)"
install_node
"$chromium" --version 2>/dev/null | head -n 1
mkdir "$pages"

# Many rows, long words, and texts that would like to be markup.
"$INTEROP_PYTHON" "$here/registry.py" >"$INTEROP_WORK/many.toml"
"$taskpass" apply "$INTEROP_WORK/many.toml" --reason interop >"$INTEROP_WORK/many.out"

# What each report needs beside where it goes. A report that is not here is not tested: it must be.
declare -A needs=(
    [inventory]="" [least-privilege]="" [exposure]="" [readiness]="" [evidence]="--framework owasp-nhi"
)
reports=$("$taskpass" report --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | grep -vx help)
for report in $reports; do
    [[ -v needs[$report] ]] || fail "no page of report $report is opened: name it in $0"
    # shellcheck disable=SC2086 # words
    "$taskpass" -o json report "$report" ${needs[$report]} --html "$pages/$report.html" >"$pages/$report.json" ||
        [[ -s $pages/$report.html ]] || fail "report $report makes no page"
done
"$taskpass" report least-privilege --agent invoice-bot --since 1h --html - >"$pages/one-agent.html"

# And with figures in them: those of a few days that were played.
month=$INTEROP_WORK/month
"$taskpass" demo --month --agents 40 --owners 6 --days 6 --out "$month" >"$INTEROP_WORK/month.out" 2>&1 ||
    fail "the month could not be played: $(tail -n 1 "$INTEROP_WORK/month.out")"
for page in "$month"/reports/*.html; do
    name=$(basename "$page" .html)
    cp "$page" "$pages/month-$name.html"
    cp "$month/reports/$name.json" "$pages/month-$name.json"
done

cd "$INTEROP_WORK/node"
node pages.mjs "$chromium" "$pages"
if [[ -n ${INTEROP_SCREENSHOTS:-} ]]; then
    mkdir -p "$INTEROP_SCREENSHOTS"
    cp "$pages"/*.png "$pages"/*.pdf "$INTEROP_SCREENSHOTS"
fi
