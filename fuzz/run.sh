#!/bin/sh
# Runs fuzz targets, all or those named, for some seconds each: sh fuzz/run.sh SECONDS [TARGET...]. Needs cargo-fuzz.
#
# New inputs go to fuzz/found/TARGET, and are where the next run begins. An input that breaks a target is written to
# fuzz/artifacts/TARGET, and the run fails.
set -eu
# A relative folder is meant from where the command was given.
case "${CARGO_TARGET_DIR:-/}" in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
cd "$(dirname "$0")"
seconds=${1:?seconds for each target}
shift
command -v cargo-fuzz >/dev/null || {
    echo "fuzz: install cargo-fuzz first: cargo install --locked cargo-fuzz" >&2
    exit 1
}
# libFuzzer's instrumentation is not stable in rustc; this lets the stable compiler have it. No sanitizer: all code of ours is
# safe Rust, and the sanitizers need a nightly compiler.
export RUSTC_BOOTSTRAP=1
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo fuzz build --sanitizer none --target-dir "$target"
programs=$target/$(rustc -vV | sed -n 's/^host: //p')/release
# Several targets write files, and none is worth a disk.
export RUST_BACKTRACE=0
[ -d /dev/shm ] && [ -w /dev/shm ] && export TMPDIR=/dev/shm
failed=
# shellcheck disable=SC2046  # one word for each target
[ $# -gt 0 ] || set -- $(cargo fuzz list)
[ $# -gt 0 ] || { echo "fuzz: cargo-fuzz lists no targets" >&2; exit 1; }
for name; do
    mkdir -p "found/$name" "artifacts/$name"
    words=dictionaries/$name
    echo "== $name, $seconds s"
    "$programs/$name" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="artifacts/$name/" $([ -f "$words" ] && echo "-dict=$words") \
        "found/$name" "corpus/$name" 2>"artifacts/$name.log" || failed="$failed $name"
    sed -n 's/^stat::number_of_executed_units: */inputs: /p; s/^stat::average_exec_per_sec: */a second: /p' "artifacts/$name.log"
    case "$failed" in *" $name") tail -40 "artifacts/$name.log" ;; esac
done
[ -z "$failed" ] || { echo "fuzz: broken:$failed" >&2; exit 1; }
