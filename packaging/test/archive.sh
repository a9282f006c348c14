#!/bin/sh
# From the archive to the first transfer between two machines, with the four commands that the README gives: the archive
# is unpacked into two roots with nothing else in them but the C library, each with a network of its own.
#
#   archive.sh ARCHIVE      a release's archive, of which the content and the size are checked as well
#   archive.sh DIRECTORY    where both programs are
set -eu
source=$(realpath "$1")
cd "$(dirname "$0")/../.."
# shellcheck source=packaging/test/machines.sh
. packaging/test/machines.sh

# Makes a root of the archive.
unpack() {
    mkdir -p "$work/$1/tmp"
    if [ -d "$source" ]; then
        cp "$source/sealift" "$source/sealiftd" README.md "$work/$1"
    else
        tar -xf "$source" -C "$work/$1" --strip-components=1
    fi
    # Nothing for static programs.
    ldd "$work/$1/sealift" "$work/$1/sealiftd" | grep -o '/[^ :]*\.so[^ :]*' | sort -u | while read -r library; do
        mkdir -p "$work/$1$(dirname "$library")"
        cp -L "$library" "$work/$1$library"
    done
}
unpack server
unpack client

if [ -f "$source" ]; then
    for file in sealift sealiftd README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE sealiftd.toml grafana-dashboard.json \
        $(cd packaging && echo man/* completions/* sealiftd.s*); do
        [ -s "$work/server/$file" ] || fail "the archive has no $file"
    done
    size=$(stat -c %s "$source")
    [ "$size" -lt 15000000 ] || fail "the archive has $size bytes"
    echo "archive: $size bytes"
fi

# The commands, without their comments.
sed -n 's/^    \(\.\/sealift[^#]*\).*/\1/p' README.md >"$work/commands"
[ "$(wc -l <"$work/commands")" = 4 ] || fail "the README has other than four commands"
readme() { sed -n "$1p" "$work/commands" | sed "s/sealift-join:\.\.\./$token/; s/ *$//"; }
token=

# Runs a command on a machine.
on() {
    net=$server_net
    [ "$1" = server ] || net=$client_net
    root=$work/$1
    shift
    echo "$net\$ $*" >&2
    # shellcheck disable=SC2068  # the words of a command line
    ip netns exec "$net" env -i HOME=/home "$(command -v chroot)" "$root" $@
}

on server "$(readme 1)" >"$work/out" 2>"$work/err" &
server=$!
# shellcheck disable=SC2317  # called at the end
stop() { ip netns pids "$server_net" | xargs -r kill; }
at_end=stop
eventually grep -q "^listening on" "$work/out" || { cat "$work/err" >&2; fail "the server does not listen"; }
token=$(on server "$(readme 2)")
on client "$(readme 3)"
on client "$(readme 4)"

on client ./sealift get README.md - | cmp - "$work/client/README.md" || fail "it came back otherwise"
stop
wait "$server" || fail "the server ended with $?"
at_end=:
echo "first transfer: done with four commands"
