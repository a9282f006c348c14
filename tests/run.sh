#!/bin/sh
# Runs all tests. They hold Sealift's certificates against OpenSSL and its protocol against a client in Python; what is
# missing of these is installed where that is possible without asking.
set -eu
cd "$(dirname "$0")/.."

missing=
for tool in cc:gcc openssl:openssl python3:python3; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q
        # shellcheck disable=SC2086  # a list of packages
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    else
        echo "tests: install these first:$missing" >&2
        exit 1
    fi
fi

# A test program that fails does not hide what the others find.
cargo test --workspace --no-fail-fast "$@"
