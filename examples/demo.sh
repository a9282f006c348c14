#!/bin/sh
# Builds Sealift and runs its main job before your eyes: a real server with its own certificates, a real client that
# joins with a token, a file up and down, verified. Everything happens in a temporary directory and on 127.0.0.1.
set -eu
cd "$(dirname "$0")/.."

command -v cargo >/dev/null || { echo "demo: no cargo here: install Rust from https://rustup.rs first" >&2; exit 1; }
command -v cc >/dev/null || { echo "demo: no C compiler here: install one first (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }

echo "== Building (a few minutes the first time)"
cargo build --release --quiet -p sealift
bin=${CARGO_TARGET_DIR:-target}/release

work=$(mktemp -d)
server=
# shellcheck disable=SC2317  # called by the trap
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n$ %s\n' "$*"; }
show() { say "$@"; "$@"; }

PATH=$(cd "$bin" && pwd):$PATH
export PATH SEALIFT_CONFIG_DIR="$work/laptop"

say "sealiftd serve --data server --listen 127.0.0.1:0 &"
RUST_LOG=${RUST_LOG:-warn} sealiftd serve --data "$work/server" --listen 127.0.0.1:0 >"$work/out" &
server=$!
until grep -q '^listening on' "$work/out"; do
    kill -0 "$server" 2>/dev/null || { echo "demo: the server ended" >&2; exit 1; }
    sleep 0.05
done
cat "$work/out"

say "sealiftd invite alice --data server"
token=$(sealiftd invite alice --data "$work/server")
echo "$token"

say "sealift join TOKEN"
sealift join "$token"

head -c 100000000 /dev/urandom >"$work/holiday.mov"
cd "$work"
show sealift put holiday.mov
show sealift ls -l
show sealift get holiday.mov back.mov
show sealift put holiday.mov copies/again.mov
show sealift info holiday.mov copies/again.mov
show sealift log
say "sha256sum holiday.mov back.mov server/blobs/*/*"
sha256sum holiday.mov back.mov server/blobs/*/*
cmp holiday.mov back.mov

echo
echo "The file went up and came back the same, over mutual TLS, and its second name took no space."
