"""The files that are transferred."""
import hashlib
import os
import sys


def random_file(path, size):
    with open(path, "wb") as file:
        while size:
            piece = os.urandom(min(size, 1 << 20))
            file.write(piece)
            size -= len(piece)
    return path


def random_tree(path, files, size):
    """A hundred files to a directory."""
    for number in range(files):
        directory = path / f"{number // 100:04}"
        directory.mkdir(parents=True, exist_ok=True)
        random_file(directory / f"{number:06}", size)
    return path


def fresh_contents(tree):
    """Changes every file a little, so that nobody has had it before."""
    for path in tree.rglob("*"):
        if path.is_file():
            with open(path, "r+b") as file:
                file.write(os.urandom(16))


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else hashlib.sha256(file.read()).hexdigest()


def same_tree(one, other):
    """Whether two trees hold the same files."""
    def contents(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return contents(one) == contents(other)


def read_through(*paths):
    """Brings files into the page cache."""
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                with open(file, "rb") as content:
                    while content.read(1 << 20):
                        pass
