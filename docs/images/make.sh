#!/bin/sh
# Makes the pictures of the desktop client anew, over a real server; their colours are few, so that they stay small.
set -eu
cd "$(dirname "$0")/../.."
pairs='main-dark-2x:desktop-dark main-light-2x:desktop-light join-light-2x:desktop-join
    conflicts-dark-2x:desktop-conflict failed-light-2x:desktop-failure log-dark-2x:desktop-log'
wanted=
for pair in $pairs; do wanted="$wanted${wanted:+,}${pair%%:*}"; done
SEALIFT_PICTURES=$wanted cargo test -p sealift-gui --test it pictures -- --ignored
for pair in $pairs; do
    from=${CARGO_TARGET_DIR:-target}/tmp/pictures/${pair%%:*}.png
    convert "$from" +dither -colors 128 -define png:compression-level=9 "png8:docs/images/${pair#*:}.png"
done
