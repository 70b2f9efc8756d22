#!/usr/bin/env bash
# Fuzzes TARGET (a name in fuzz_targets/, or `all`, two at a time) for SECONDS each, and prints what came of it:
#
#     fuzz/run.sh decode_lz4 60
#     fuzz/run.sh all 600
#
# Nothing but a stable toolchain and a C++ compiler is needed: the coverage that libFuzzer steers by comes from LLVM,
# by flags that every toolchain has. (`cargo fuzz run TARGET` works as well, where cargo-fuzz and a nightly toolchain
# are; its address sanitizer has little to find in code that forbids `unsafe`.)
#
# The corpus is kept in fuzz/corpus/TARGET, input that fails in fuzz/artifacts/TARGET. To see one of those again:
#
#     fuzz/run.sh decode_lz4 fuzz/artifacts/decode_lz4/crash-…
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
name=${1:-} what=${2:-}
if [[ -z $name || -z $what ]]; then
    echo "usage: fuzz/run.sh TARGET|all SECONDS, or fuzz/run.sh TARGET FILE" >&2
    exit 2
fi
[[ -f $what ]] && what=$(realpath "$what")
[[ -n ${CARGO_TARGET_DIR:-} ]] && CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR")
cd "$root/fuzz"

targets=()
for file in fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    [[ $name == all || $name == "$target" ]] && targets+=("$target")
done
if [[ ${#targets[@]} == 0 ]]; then
    echo "fuzz/run.sh: there is no target $name in fuzz/fuzz_targets" >&2
    exit 2
fi

# A target triple of its own keeps the flags away from build scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/fuzz
build() {
    RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares" \
        cargo build --release --locked --target "$host" --bins
}
build
programs=$CARGO_TARGET_DIR/$host/release
[[ -d corpus/decode_plain ]] || "$programs/seeds" ../tests/vectors corpus

# A single input, seen again.
if [[ -f $what ]]; then
    exec "$programs/$name" "$what"
fi

logs=$CARGO_TARGET_DIR/logs
mkdir -p "$logs"
fuzz() {
    local target=$1 longest=8192
    [[ $target == operations ]] && longest=2048
    mkdir -p "corpus/$target" "artifacts/$target"
    "$programs/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$what" \
        -max_len=$longest -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$logs/$target" 2>&1
}

failed=0
for ((next = 0; next < ${#targets[@]}; next += 2)); do
    pair=("${targets[@]:next:2}") running=()
    echo "fuzzing ${pair[*]} for $what seconds"
    for target in "${pair[@]}"; do
        fuzz "$target" &
        running+=($!)
    done
    for index in "${!pair[@]}"; do
        if ! wait "${running[$index]}"; then
            failed=1
            echo "${pair[$index]} FAILED:"
            grep -vE '^#[0-9]+' "$logs/${pair[$index]}" | tail -n 40
        fi
    done
done

printf '\n%-16s %14s %10s %10s %8s\n' target executions per-second coverage corpus
for target in "${targets[@]}"; do
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$logs/$target")
    # The last of the lines that begin with a count, as `#123 NEW cov: 456 ft: 789 corp: 12/3Kb …`
    last=$(grep -E '^#[0-9]+.* cov: ' "$logs/$target" | tail -n 1 || true)
    coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")
    corpus=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")
    printf '%-16s %14s %10s %10s %8s\n' "$target" "${executions:-?}" "${rate:-?}" "${coverage:-?}" "${corpus:-?}"
done
exit $failed
