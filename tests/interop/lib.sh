# shellcheck shell=bash
# What run.sh and the parts written in shell share.

not_run() {
    echo "not run: $*"
    exit 77
}

# need COMMAND PACKAGE: ends the part if the command is not here.
need() {
    command -v "$1" >/dev/null || not_run "$1 is missing (package $2)"
}

ok() {
    echo "ok      $*"
}

fail() {
    echo "FAILED  $*"
    exit 1
}

# install_tools PART...: what the parts need and is not here, from the distribution's packages. Only where
# the machine is the gate's own.
install_tools() {
    [[ ${CI:-} == true && $(id -u) == 0 ]] || return 0
    command -v apt-get >/dev/null || return 0
    local packages=() part
    command -v openssl >/dev/null || packages+=(openssl)
    command -v curl >/dev/null || packages+=(curl)
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
    for part in "$@"; do
        case $part in
        html)
            command -v node >/dev/null && command -v npm >/dev/null || packages+=(nodejs npm)
            command -v chromium >/dev/null || packages+=(chromium fonts-liberation)
            ;;
        node | oauth | siem) command -v node >/dev/null && command -v npm >/dev/null || packages+=(nodejs npm) ;;
        nginx) PATH=$PATH:/usr/sbin command -v nginx >/dev/null || packages+=(nginx) ;;
        go | audit) PATH=$PATH:/usr/local/go/bin command -v go >/dev/null || packages+=(golang-go) ;;
        esac
    done
    ((${#packages[@]} > 0)) || return 0
    # A part whose tool could not be installed says so itself.
    export DEBIAN_FRONTEND=noninteractive
    apt-get update >"$work/apt.log" 2>&1 || true
    apt-get install -y --no-install-recommends "${packages[@]}" >>"$work/apt.log" 2>&1 || true
}
