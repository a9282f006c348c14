#!/bin/sh
# Plays the life of a server on bare Debian trees, as its packages and the README have it: installed under a real systemd
# that was booted, invited to, joined from another machine with only the client's package, used, restarted in
# mid-transfer, upgraded, removed, purged. Needs root and debootstrap, systemd-container, iproute2, cargo-deb.
set -eu
cd "$(dirname "$0")/../.."

missing=
for tool in debootstrap systemd-nspawn nsenter script ip cargo-deb; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ "$(id -u)" = 0 ] || missing="$missing root"
if [ -n "$missing" ]; then
    echo "skipped: this needs:$missing" >&2
    # Whoever asks for it is told; CI goes on.
    [ "${1:-}" = --if-possible ] || exit 1
    exit 0
fi

step() { printf '\n-- %s\n' "$*"; }

step "packages, each in two versions"
cargo build --release --quiet -p sealift
target=$(realpath "${CARGO_TARGET_DIR:-target}")
packages=$target/packages
rm -rf "$packages"
for revision in 1 2; do
    mkdir -p "$packages/$revision"
    cargo deb -q --fast -p sealift --no-build --deb-revision "$revision" -o "$packages/$revision/sealift.deb"
    cargo deb -q --fast -p sealift --variant sealiftd --no-build --deb-revision "$revision" \
        -o "$packages/$revision/sealiftd.deb"
done

base=${SEALIFT_DEBIAN_TREE:-$HOME/.cache/sealift-ci/debian}
if [ ! -e "$base/complete" ]; then
    step "a bare Debian tree, once"
    rm -rf "$base"
    mkdir -p "$base"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$base/tree" >"$base/log" 2>&1 ||
        { tail -5 "$base/log" >&2; exit 1; }
    : >"$base/complete"
fi

# shellcheck source=packaging/test/machines.sh
. packaging/test/machines.sh

step "two machines from it; the server boots"
at_end="unmount"
# shellcheck disable=SC2317  # called at the end
unmount() { umount -q "$work/server" "$work/client"; }
for machine in server client; do
    mkdir "$work/$machine" "$work/$machine.changes" "$work/$machine.work"
    # What the machine changes lies over the tree; where that cannot be, it is copied.
    mount -t overlay -o "lowerdir=$base/tree,upperdir=$work/$machine.changes,workdir=$work/$machine.work" \
        "sealift-$machine" "$work/$machine" 2>/dev/null || cp -a "$base/tree/." "$work/$machine"
    mkdir "$work/$machine/packages"
    cp -r "$packages/." "$work/$machine/packages"
done
# `ip netns exec` would hide the control groups, which systemd needs.
nsenter --net="/run/netns/$server_net" script -qfc \
    "systemd-nspawn -q -D $work/server --register=no --keep-unit -b" "$work/console" >/dev/null 2>&1 &
console=$!
# shellcheck disable=SC2317  # called at the end
off() { power_off; unmount; }
at_end="off"
inside() { pgrep -f "^systemd-nspawn -q -D $work/server" | tail -1 | xargs pgrep -P; }
power_off() {
    pid=$(inside) && [ -n "$pid" ] && nsenter -t "$pid" -m -u -i -p -C systemctl poweroff
    wait "$console"
}
eventually inside
init=$(inside)
on_server() { nsenter -t "$init" -m -u -i -p -n -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root "$@"; }
on_client() {
    ip netns exec "$client_net" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root chroot "$work/client" "$@"
}
booted() {
    state=$(on_server systemctl is-system-running || true)
    [ "$state" = running ] || [ "$state" = degraded ]
}
eventually booted

# Fails unless the service runs, and not as root.
service_runs() {
    on_server systemctl is-active --quiet sealiftd.service || return 1
    main=$(on_server systemctl show -P MainPID sealiftd.service)
    owner=$(on_server stat -c %U "/proc/$main")
    [ "$owner" != root ] && [ -n "$owner" ]
}
# Fails unless a get on the client brings what was put.
still_there() {
    on_client sealift get -q notes.txt - | cmp - "$work/client/notes.txt"
}

step "install"
on_server dpkg -i /packages/1/sealiftd.deb
on_client dpkg -i /packages/1/sealift.deb
eventually service_runs
on_server test -f /etc/sealift/sealiftd.toml
on_server sealiftd --version
on_client sealift --version
# minbase leaves documents out of what it unpacks, nothing else.
on_server test -f /usr/share/bash-completion/completions/sealiftd

step "invite, join, put, get"
eventually on_server test -f /var/lib/sealift/catalog.db
token=$(on_server sealiftd invite alice)
on_client sealift join "$token"
head -c 300000 /dev/urandom >"$work/client/notes.txt"
on_client sealift put notes.txt
still_there

step "restart in mid-transfer"
# By default a server that stops gives transfers half a minute to end; so long nobody wants to wait here.
on_server sed -i 's/^\[timeouts\]/&\ndrain = 0.5/' /etc/sealift/sealiftd.toml
on_server systemctl restart sealiftd.service
eventually service_runs
head -c 150000000 /dev/urandom >"$work/client/film.mkv"
before=$(on_server systemctl show -P MainPID sealiftd.service)
on_client sealift put -q --limit-rate 30M film.mkv &
upload=$!
under_way() { on_server find /var/lib/sealift/incoming/ -type f -size +8M | grep -q .; }
eventually under_way
on_server systemctl restart sealiftd.service
kill -0 "$upload" || fail "the transfer was over before the restart"
wait "$upload" || fail "the transfer ended with $?"
[ "$(on_server systemctl show -P MainPID sealiftd.service)" != "$before" ] || fail "it was not restarted"
on_client sealift get -q film.mkv - | cmp - "$work/client/film.mkv" || fail "it came back otherwise"

step "upgrade"
before=$(on_server systemctl show -P MainPID sealiftd.service)
on_server dpkg -i /packages/2/sealiftd.deb
# shellcheck disable=SC2016  # dpkg-query's own variable
[ "$(on_server dpkg-query -Wf '${Version}' sealiftd | sed 's/.*-//')" = 2 ] || fail "it was not upgraded"
eventually service_runs
[ "$(on_server systemctl show -P MainPID sealiftd.service)" != "$before" ] || fail "the old program runs on"
on_server grep -q '^drain = 0.5' /etc/sealift/sealiftd.toml || fail "the configuration was replaced"
eventually still_there
on_server systemctl is-enabled --quiet sealiftd.service || fail "it would not start at the next boot"

step "remove: what is stored stays"
on_server dpkg -r sealiftd
if on_server test -e "/proc/$main"; then fail "the server runs on"; fi
on_server test -f /var/lib/sealift/catalog.db || fail "removal took the data"
on_server grep -q '^drain = 0.5' /etc/sealift/sealiftd.toml || fail "removal took the configuration"
on_server dpkg -i /packages/1/sealiftd.deb
eventually service_runs
eventually still_there

step "purge: the configuration goes, what is stored stays"
on_server dpkg -P sealiftd
if on_server test -e /etc/sealift; then fail "purging left /etc/sealift"; fi
left=$(on_server find /usr /etc -name '*sealift*')
[ -z "$left" ] || fail "purging left $left"
on_server test -f /var/lib/sealift/catalog.db || fail "purging took the data"
on_client dpkg -P sealift
left=$(find "$work/client/usr" "$work/client/etc" -name '*sealift*')
[ -z "$left" ] || fail "purging the client left $left"

step "power off"
power_off >/dev/null 2>&1 || true
at_end=unmount
echo "The service was installed, used, restarted, upgraded, removed and purged; nothing that was stored was lost."
