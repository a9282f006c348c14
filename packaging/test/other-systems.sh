#!/bin/sh
# Checks the Rust code for systems that nothing here can link for: with a C compiler and an archiver that only make the
# files they are asked for, `cargo check` sees every line of Rust, and no line of C. Targets that the toolchain does not
# have are named and skipped.
set -eu
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/compile" <<'END'
#!/bin/sh
# cc ... -o FILE ..., and ar OPTIONS FILE ...
previous=
for argument; do
    case "$previous$argument" in
    -o*) [ "$previous" = -o ] && : >"$argument" ;;
    *.a | *.lib) : >"$argument" ;;
    esac
    previous=$argument
done
exit 0
END
chmod +x "$work/compile"

installed=$(rustup target list --installed 2>/dev/null || true)
for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
    if echo "$installed" | grep -qx "$target"; then
        echo "$target"
        # shellcheck disable=SC2046  # a list of assignments
        env CC="$work/compile" CXX="$work/compile" AR="$work/compile" RANLIB=true HOST_CC=cc HOST_AR=ar \
            AWS_LC_SYS_PREBUILT_NASM=1 \
            cargo check --quiet --target "$target" -p "${1:-sealift}"
    else
        echo "skipped: the toolchain has nothing for $target (rustup target add $target)"
    fi
done
