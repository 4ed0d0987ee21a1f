#!/usr/bin/env bash
# Runs every fuzz target for a bounded time, beginning with the inputs in seeds/ and those that
# earlier runs found. Exits with 77, "not run", where there is no nightly toolchain; then it has
# still checked that the targets compile.
#
#   tests/fuzz/run.sh             every target, 15 seconds each
#   tests/fuzz/run.sh note csr    these
#   FUZZ_SECONDS=600 tests/fuzz/run.sh token
#
# Needs a nightly toolchain and a C++ compiler for libFuzzer. A failing input is left in
# target/fuzz/failed/TARGET, and its path is printed; run the printed program with it to see it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${FUZZ_SECONDS:-15}
all=(token csr certificate status_list note)
targets=("${@:-${all[@]}}")
mkdir -p "${CARGO_TARGET_DIR:-../../target}/fuzz"
out=$(cd "${CARGO_TARGET_DIR:-../../target}/fuzz" && pwd)
export CARGO_TARGET_DIR=$out CARGO_TERM_COLOR=never

not_run() {
    echo "$1: checking only that the targets compile"
    if command -v c++ >/dev/null; then
        cargo check --quiet --bins --locked
    else
        cargo check --quiet --lib --locked
    fi
    echo "not run: $1"
    exit 77
}

nightly=$(rustup toolchain list 2>/dev/null | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1)
[[ -n $nightly ]] || not_run "no nightly toolchain"
command -v c++ >/dev/null || not_run "no C++ compiler"
host=$(rustc "+$nightly" -vV | sed -n 's/^host: //p')

# What `cargo fuzz` sets: coverage for the fuzzer, and the address sanitizer for what is not Rust.
flags=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    -Ccodegen-units=1 -Zsanitizer=address)
RUSTFLAGS="${flags[*]}" cargo "+$nightly" build --release --bins --locked --target "$host"

failed=0
for target in "${targets[@]}"; do
    mkdir -p "$out/corpus/$target" "$out/failed/$target"
    seeds=()
    [[ -d seeds/$target ]] && seeds=("seeds/$target")
    log=$out/$target.log
    echo "=== $target, ${seconds}s"
    if "$out/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=8192 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$out/failed/$target/" "$out/corpus/$target" "${seeds[@]}" >"$log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */runs: /p' "$log"
    else
        failed=$((failed + 1))
        echo "FAILED: $target"
        tail -n 40 "$log"
    fi
done
((failed == 0))
