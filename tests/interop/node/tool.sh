# shellcheck shell=bash
# Installs the packages of this folder; sourced after lib.sh.

# install_node: the programs and their packages, in the work folder. Ends the part if there is no Node.
install_node() {
    need node nodejs
    need npm npm
    local major out=$INTEROP_WORK/node here
    [[ -d $out ]] && return
    major=$(node -p 'process.versions.node.split(".")[0]')
    ((major >= 20)) || not_run "Node $major is too old, the packages need 20"
    here=$(dirname "${BASH_SOURCE[0]}")
    mkdir "$out"
    cp "$here"/*.mjs "$here"/package*.json "$out"
    (cd "$out" && npm ci --ignore-scripts --no-audit --no-fund) >"$INTEROP_WORK/npm.log" 2>&1 || {
        rm -rf "$out"
        not_run "npm could not install the packages: $(grep -v '^npm warn' "$INTEROP_WORK/npm.log" | head -n 1)"
    }
}
