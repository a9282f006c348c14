#!/bin/sh
# Builds Sealift and runs its main job before your eyes: a real server with its own certificates, a real client that
# joins with a token, a file up and down, verified, an upload that is killed and goes on, and a certificate that is
# revoked. Everything happens in a temporary directory and on 127.0.0.1.
set -eu
cd "$(dirname "$0")/.."

command -v cargo >/dev/null || { echo "demo: no cargo here: install Rust from https://rustup.rs first" >&2; exit 1; }
command -v cc >/dev/null || { echo "demo: no C compiler here: install one first (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }

# The tests use this build again (tests/shared_build.py). `cargo build --release -p sealift` makes what is shipped.
echo "== Building (a few minutes the first time)"
cargo build
bin=${CARGO_TARGET_DIR:-target}/debug

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

# until_true WHAT COMMAND...: waits for a thing to happen, for half a minute at most.
until_true() {
    what=$1; shift; tries=0
    until "$@"; do
        kill -0 "$server" 2>/dev/null || { echo "demo: the server ended" >&2; exit 1; }
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "demo: $what did not happen within half a minute" >&2; exit 1; }
        sleep 0.05
    done
}

PATH=$(cd "$bin" && pwd):$PATH
export PATH SEALIFT_CONFIG_DIR="$work/laptop"

say "sealiftd serve --data server --listen 127.0.0.1:0 &"
RUST_LOG=${RUST_LOG:-error} sealiftd serve --data "$work/server" --listen 127.0.0.1:0 >"$work/out" &
server=$!
until_true "the server's start" grep -q '^listening on' "$work/out"
cat "$work/out"

cd "$work"
say "sealiftd invite alice --data server"
token=$(sealiftd invite alice --data server)
echo "$token"

say "sealift join TOKEN"
sealift join "$token"

head -c 100000000 /dev/urandom >holiday.mov
show sealift put holiday.mov
show sealift ls -l
show sealift get holiday.mov back.mov
show sealift put holiday.mov copies/again.mov
show sealift info holiday.mov copies/again.mov
say "sha256sum holiday.mov back.mov server/blobs/*/*"
sha256sum holiday.mov back.mov server/blobs/*/*
cmp holiday.mov back.mov

# arrived BYTES: that many bytes of an upload lie on the server's disk.
# shellcheck disable=SC2317  # called by until_true
arrived() { [ "$(find server/incoming -type f -exec cat {} + 2>/dev/null | wc -c)" -ge "$1" ]; }

head -c 60000000 /dev/urandom >concert.wav
say "sealift put --limit-rate 15M concert.wav &    # and kill -9 in the middle"
sealift put --limit-rate 15M concert.wav &
upload=$!
until_true "the upload" arrived 20000000
kill -9 "$upload"
wait "$upload" 2>/dev/null || true
say "sealift put concert.wav"
again=$(sealift put concert.wav 2>&1)
echo "$again"
case $again in *continued*) ;; *) echo "demo: the upload began anew" >&2; exit 1 ;; esac
show sealift log

say "sealiftd revoke alice --data server"
sealiftd revoke alice --data server
say "sealift ls"
code=0
sealift ls || code=$?
# 4: not allowed, or certificate refused.
[ $code = 4 ] || { echo "demo: a revoked certificate ended with exit code $code, not 4" >&2; exit 1; }

echo
echo "A file went up and came back the same, over mutual TLS, and its second name took no space. A killed upload went on"
echo "where it was. A revoked certificate is refused."
