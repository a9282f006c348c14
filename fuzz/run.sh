#!/bin/sh
# Runs each fuzz target for some seconds: sh fuzz/run.sh SECONDS [TARGET...]. Needs cargo-fuzz. New inputs that reach new code are
# added to fuzz/corpus/TARGET; an input that breaks a target is written to fuzz/artifacts/TARGET, and the run fails.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
command -v cargo-fuzz >/dev/null || { echo "fuzz: install cargo-fuzz first: cargo install --locked cargo-fuzz" >&2; exit 1; }
# libFuzzer's instrumentation is not stable in rustc yet; this lets the stable compiler have it.
export RUSTC_BOOTSTRAP=1
for target in ${*:-$(cargo fuzz list)}; do
    echo "== $target, $seconds s"
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -print_final_stats=1 -max_len=65536 -timeout=10 -rss_limit_mb=2048
done
