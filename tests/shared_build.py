#!/usr/bin/env python3
"""Fails if `cargo test --workspace` would compile again what `cargo build` has made.

Cargo compiles a crate once for each set of features. The demo builds the default members, the tests build everything; where
a test or the window asks for more features of a crate, it and all crates that use it would be compiled twice. The remedy is to
name those features in tests/Cargo.toml, which both builds read and no release does.
"""

import json
import os
import subprocess
import sys


def units(*arguments):
    # Cargo tells its plan only to those who ask for unstable output.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1")
    command = ["cargo", *arguments, "--unit-graph", "-Z", "unstable-options"]
    plan = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)["units"]
    keys = {}

    def key(index):
        if index not in keys:
            unit = plan[index]
            uses = frozenset(key(use["index"]) for use in unit["dependencies"])
            kind = (unit["pkg_id"], unit["target"]["name"], tuple(unit["target"]["kind"]), unit["mode"], unit["platform"])
            keys[index] = (*kind, tuple(unit["features"]), uses)
        return keys[index]

    return {key(index) for index in range(len(plan))}


tested = units("test", "--workspace", "--no-run")
twice = [unit for unit in units("build") if unit not in tested]
if twice:
    features = {}
    for unit in tested:
        features.setdefault(unit[:5], []).append(unit[5])
    print("these would be compiled twice; the causes are those with other features:", file=sys.stderr)
    for unit in sorted(twice, key=lambda unit: unit[:4]):
        others = features.get(unit[:5], [])
        cause = "" if unit[5] in others else f": {' '.join(unit[5])}; in the tests: {' | '.join(map(' '.join, others))}"
        print(f"  {unit[0].split('/')[-1]} ({unit[3]}){cause}", file=sys.stderr)
    sys.exit(1)
print("the demo and the tests share one build")
