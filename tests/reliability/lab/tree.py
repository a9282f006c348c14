"""What a tree of files does, as docs/protocol.md says: the model that answers are held against.

A state is a dict from path to what is there: DIRECTORY, or the digest of a file's content. The root of the tree is
always there and not in the dict. Paths are relative to it, like "a" and "d/x".
"""

DIRECTORY = "directory"


class Refused(Exception):
    """The request has to fail with one of these codes."""

    def __init__(self, *codes):
        super().__init__(*codes)
        self.codes = set(codes)


def parents(path):
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def name(path):
    return path.rsplit("/", 1)[-1]


def is_below(path, directory):
    return path.startswith(directory + "/")


def below(state, directory):
    return [path for path in state if is_below(path, directory)]


def find(state, path):
    """What is at a path that has to exist."""
    for parent in parents(path):
        if parent not in state:
            raise Refused("not-found")
        if state[parent] != DIRECTORY:
            raise Refused("not-found", "not-a-directory")
    if path not in state:
        raise Refused("not-found")
    return state[path]


def with_parents(state, path):
    """A copy of the state in which all directories above `path` exist."""
    state = dict(state)
    for parent in parents(path):
        if state.setdefault(parent, DIRECTORY) != DIRECTORY:
            raise Refused("not-a-directory")
    return state


def put(state, path, digest):
    changed = with_parents(state, path)
    if changed.get(path) == DIRECTORY:
        raise Refused("is-a-directory")
    changed[path] = digest
    return changed


def make_directory(state, path):
    changed = with_parents(state, path)
    if changed.setdefault(path, DIRECTORY) != DIRECTORY:
        raise Refused("not-a-directory")
    return changed


def remove(state, path, recursive=False):
    held = find(state, path)
    inside = below(state, path)
    if held == DIRECTORY and inside and not recursive:
        raise Refused("is-a-directory")
    gone = {path, *inside}
    return {other: value for other, value in state.items() if other not in gone}


def destination(state, source, target):
    """Into a directory that is there goes an entry under its old name."""
    return f"{target}/{name(source)}" if state.get(target) == DIRECTORY else target


def move(state, source, target):
    held = find(state, source)
    target = destination(state, source, target)
    if target == source:
        return dict(state)
    if is_below(target, source):
        raise Refused("exists", "not-a-directory")
    changed = with_parents(state, target)
    if target in changed and DIRECTORY in (held, changed[target]):
        raise Refused("exists")
    taken = {source: held, **{path: state[path] for path in below(state, source)}}
    for path in taken:
        del changed[path]
    changed.update({target + path[len(source) :]: value for path, value in taken.items()})
    return changed


def copy(state, source, target):
    held = find(state, source)
    target = destination(state, source, target)
    if held == DIRECTORY:
        if target == source or is_below(target, source):
            raise Refused("exists")
        changed = with_parents(state, target)
        if target in changed:
            raise Refused("exists")
    else:
        if is_below(target, source):
            raise Refused("not-a-directory")
        changed = with_parents(state, target)
        if changed.get(target) == DIRECTORY:
            raise Refused("is-a-directory")
    taken = {source: held, **{path: state[path] for path in below(state, source)}}
    changed.update({target + path[len(source) :]: value for path, value in taken.items()})
    return changed


def get(state, path):
    held = find(state, path)
    if held == DIRECTORY:
        raise Refused("is-a-directory")
    return held
