"""Random requests to one tree of files, and what their answers say."""

from . import serial, tree, wire

FILES = ["a", "b", "c", "d/x", "d/y", "d/z", "e/x", "e/f/x", "e/f/y"]
DIRECTORIES = ["d", "e", "e/f", "g"]


def listing(root):
    return serial.Operation("list", exchange=wire.ask("list", path=root, recursive=True))


def random_operation(rng, root, content):
    """One request. `content` makes a content to store, or picks a known one."""
    kind = rng.random()
    file, directory = rng.choice(FILES), rng.choice(DIRECTORIES)

    def ask(verb, *arguments, **fields):
        return serial.Operation(verb, *arguments, exchange=wire.ask(verb, **fields))

    if kind < 0.50:
        stored = content()
        exchange = wire.put(f"{root}/{file}", stored.bytes(), stream=rng.random() < 0.1)
        return serial.Operation("put", file, stored.sha256, exchange=exchange)
    if kind < 0.65:
        return ask("get", file, path=f"{root}/{file}")
    if kind < 0.75:
        return ask("remove", file, path=f"{root}/{file}")
    if kind < 0.80:
        recursive = rng.random() < 0.6
        return ask("remove", directory, recursive, path=f"{root}/{directory}", recursive=recursive)
    if kind < 0.84:
        return ask("make-directory", directory, path=f"{root}/{directory}")
    if kind < 0.88:
        return listing(root)
    source, target = rng.choice([file, directory]), rng.choice([rng.choice(FILES), rng.choice(DIRECTORIES)])
    if source == target:
        target = "b" if source != "b" else "c"
    return ask(rng.choice(["move", "copy"]), source, target, **{"from": f"{root}/{source}", "to": f"{root}/{target}"})


def take_answer(operation):
    """Takes times and answer of the request over from its exchange; codes of errors stay as they are."""
    exchange = operation.exchange
    operation.sent, operation.answered = exchange.sent, exchange.answered
    if exchange.answered is None:
        return
    operation.answer = exchange.code
    if exchange.reply["type"] == "content":
        operation.answer = ("content", exchange.reply["sha256"])
    elif exchange.reply["type"] == "entries":
        operation.answer = ("entries", tuple(sorted(entries(exchange).items())))


def entries(exchange):
    """The state of a tree that a listing shows."""
    return {one["name"]: one.get("sha256") or tree.DIRECTORY for one in exchange.entries}
