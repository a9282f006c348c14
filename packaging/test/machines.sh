# Two machines on this one: network namespaces with a cable between them, 192.0.2.1 and 192.0.2.2. To be sourced; $work
# is a temporary directory that goes away at the end, and `at_end` holds what else is to be done then.
# shellcheck shell=sh

fail() { echo "FAILED: $*" >&2; exit 1; }

# Waits until a command succeeds.
eventually() {
    tries=${patience:-300}
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "FAILED: it did not come: $*" >&2; return 1; }
        sleep 0.1
    done
}

work=$(mktemp -d)
server_net=sealift-s$$ client_net=sealift-c$$
at_end=:
# shellcheck disable=SC2317  # called by the trap
finish() {
    $at_end || true
    ip netns delete "$server_net" 2>/dev/null || true
    ip netns delete "$client_net" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

ip netns add "$server_net"
ip netns add "$client_net"
ip -n "$server_net" link add cable type veth peer name cable netns "$client_net"
for machine in "$server_net 192.0.2.1" "$client_net 192.0.2.2"; do
    ip -n "${machine% *}" address add "${machine#* }/24" dev cable
    ip -n "${machine% *}" link set cable up
    ip -n "${machine% *}" link set lo up
done
