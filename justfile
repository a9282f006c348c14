# Every task by name; `just` alone lists them.

default:
    @just --list

# Builds Sealift and shows its main job: server, join, put, get, a killed upload, a revocation
demo:
    sh examples/demo.sh

# All tests
test *ARGS:
    sh tests/run.sh {{ARGS}}

# Makes the manual pages and the completions anew, from what the programs take
manual:
    SEALIFT_UPDATE_MANUAL=1 cargo test -p sealift --test manual is_what

# Makes the pictures of the desktop client in docs/images anew (needs ImageMagick)
pictures:
    sh docs/images/make.sh

# The store against its model: random operations in random groups with injected failures, CASES times some 50 operations
model CASES="5000" SEED="1":
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm; SEALIFT_MODEL_CASES={{CASES}} SEALIFT_MODEL_SEED={{SEED}} cargo test -p sealift-server --lib store::model -- --nocapture

# The tests that need gigabytes of memory
test-large:
    cargo test -p sealift-tests --test it -- --ignored

# A thousand kill -9 under the load of many clients; every answer is held against what a serial order allows
test-history *ARGS:
    cd tests/reliability && python3 history.py {{ARGS}}

# Fuzzing: all targets, or those named, for SECONDS each (needs cargo-fuzz)
fuzz SECONDS="600" *TARGETS:
    sh fuzz/run.sh {{SECONDS}} {{TARGETS}}

# Each storage call of the server, of a backup and of the client fails once, in turn (Linux with seccomp, a C compiler)
test-faults *ARGS:
    cd tests/reliability && python3 faults.py {{ARGS}}

# A thousand power cuts on each of ext4, XFS and btrfs (root, FUSE, loop devices, xfsprogs, btrfs-progs)
test-power-loss *ARGS:
    cd tests/reliability && python3 power_loss.py {{ARGS}}

# Disks without bytes and without inodes (root)
test-full-disk *ARGS:
    cd tests/reliability && python3 full_disk.py {{ARGS}}

# How much the time of an upload tells about what others have stored
test-timing *ARGS:
    cd tests/reliability && python3 timing.py {{ARGS}}

# An hour of mixed load: memory, descriptors, threads and files reach a plateau
test-soak *ARGS:
    cd tests/reliability && python3 soak.py {{ARGS}}

# A server's life on a bare Debian tree under a real systemd (root, debootstrap, systemd-container, iproute2, cargo-deb)
test-systemd:
    sh packaging/test/systemd.sh

# What a change must pass before it lands
ci:
    bash .ci/run

# Formats the code
fmt:
    cargo fmt --all

# Lints as CI does
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The API documentation
doc:
    cargo doc --workspace --no-deps --open

# Measures Sealift beside scp, sftp, rsync, and curl and rclone to nginx
bench *ARGS:
    python3 bench/bench.py {{ARGS}}

# Measures the inner loops: frames, messages, hashing, the catalog
bench-inner *ARGS:
    cargo bench -p sealift-protocol -p sealift-pipeline -p sealift-server -- {{ARGS}}

# Licences, sources and advisories of the dependencies (needs cargo-deny)
deny:
    cargo deny check
