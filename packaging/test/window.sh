#!/bin/sh
# What is in the archive of the desktop client, and whether its program opens a window.
#
#   window.sh ARCHIVE
set -eu
fail() { echo "FAILED: $*" >&2; exit 1; }
work=$(mktemp -d)
screen='' window=''
# shellcheck disable=SC2317  # called by the trap
finish() {
    [ -z "$window" ] || kill "$window" 2>/dev/null || true
    [ -z "$screen" ] || kill "$screen" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

tar -xf "$1" -C "$work" --strip-components=1
for file in sealift-gui desktop.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE sealift-gui.desktop sealift-gui.svg sealift-gui.png \
    org.sealift.gui.metainfo.xml icons.LICENSE.txt inter.LICENSE.txt; do
    [ -s "$work/$file" ] || fail "the archive has no $file"
done
size=$(stat -c %s "$1")
[ "$size" -lt 15000000 ] || fail "the archive has $size bytes"
echo "archive: $size bytes"
if command -v desktop-file-validate >/dev/null; then desktop-file-validate "$work/sealift-gui.desktop"; fi
if command -v appstreamcli >/dev/null; then appstreamcli validate --no-net "$work/org.sealift.gui.metainfo.xml"; fi
"$work/sealift-gui" --version

if ! command -v Xvfb >/dev/null || ! command -v xdotool >/dev/null; then
    echo "no window: Xvfb or xdotool is not installed here"
    exit 0
fi
mkfifo "$work/display"
Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3>"$work/display" 2>/dev/null &
screen=$!
read -r display <"$work/display"
export DISPLAY=":$display" LIBGL_ALWAYS_SOFTWARE=1 HOME="$work" SEALIFT_CONFIG_DIR="$work/configuration"
unset WAYLAND_DISPLAY
"$work/sealift-gui" &
window=$!
tries=300
until xdotool search --onlyvisible --name '^Sealift$' >/dev/null 2>&1; do
    kill -0 "$window" || fail "the program has ended"
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "there is no window"
    sleep 0.1
done
echo "window: opened"
