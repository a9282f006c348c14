"""Is there one order of all requests that explains all answers?

This is a check for linearizability. Each connection's requests take effect in the order in which they were sent, and a
request that was answered before another one was sent takes effect before it. The search moves through the positions of
all connections at once and remembers where it has been. A read, or a refused change, is placed as soon as its answer
fits, since that rules out nothing; so the search branches only between changes that were under way together.

The copy of a large tree is the exception: docs/protocol.md lets it have what others change meanwhile, or not. Where one was
made beside other changes, and no order explains the answers, nothing is decided.

A request without an answer may have happened or not. Requests of one connection take effect in order, so the
unanswered ones that happened come before those that did not.
"""

from . import tree

UNKNOWN = "unknown"  # the answer of a request that happened or did not, although something was answered
HAPPENED = "happened"  # the same, for one that is taken to have happened
REFUSED = "refused"  # the answer of a request that failed for a reason outside of the tree, and did nothing
CHANGED = {"stored", "done", "placed", UNKNOWN, HAPPENED}  # answers of requests that may have changed the tree
AT_ONCE = 32  # so many entries the server surely copies at one moment


class Operation:
    """A request to one tree: `apply(state)` returns what may come of it, as pairs of answer and new state."""

    def __init__(self, kind, *arguments, exchange=None, sent=0, answered=None, answer=None):
        self.kind = kind
        self.arguments = arguments
        self.exchange = exchange
        self.sent = sent
        self.answered = answered
        self.answer = answer

    def apply(self, state):
        if self.answer == REFUSED:
            return [(REFUSED, state)]
        try:
            outcomes = self._apply(state)
        except tree.Refused as refused:
            outcomes = [(code, state) for code in refused.codes]
            outcomes += [("absent", state)] if self.kind == "claim" else []
        if self.answer == HAPPENED:
            return [(HAPPENED, changed) for _, changed in outcomes]
        if self.answer == UNKNOWN:
            return [(UNKNOWN, changed) for _, changed in outcomes] + [(UNKNOWN, state)]
        return outcomes

    def _apply(self, state):
        kind, arguments = self.kind, self.arguments
        if kind == "put":
            return [("stored", tree.put(state, *arguments))]
        if kind == "claim":
            return [("stored", tree.put(state, *arguments)), ("absent", state)]
        if kind == "get":
            return [(("content", tree.get(state, *arguments)), state)]
        if kind == "list":
            return [(("entries", tuple(sorted(state.items()))), state)]
        if kind == "remove":
            return [("done", tree.remove(state, *arguments))]
        if kind == "make-directory":
            return [("done", tree.make_directory(state, *arguments))]
        return [("placed", {"move": tree.move, "copy": tree.copy}[kind](state, *arguments))]

    def __repr__(self):
        answer = "no answer" if self.answered is None else self.answer
        if isinstance(answer, tuple):
            answer = show(dict(answer[1])) if answer[0] == "entries" else answer[1][:8]
        arguments = ", ".join(str(one)[:12] for one in self.arguments)
        times = f"{self.sent / 1e6 % 1e5:.2f}..{'?' if self.answered is None else f'{self.answered / 1e6 % 1e5:.2f}'} ms"
        return f"{self.kind}({arguments}) -> {answer}  [{times}]"


class Impossible(Exception):
    """No order explains the answers. Says how far the search came."""

    def __init__(self, positions, states):
        super().__init__("no order of the requests explains the answers")
        self.positions, self.states = positions, states

    def tell(self, begin, connections):
        """The history, and where it stops making sense."""
        return "\n".join([tell(begin, connections, self.positions), "states at the arrows:", *map(show, self.states)])


def tell(begin, connections, positions=None):
    """A history as text, with an arrow at each of the positions."""
    lines = [f"at first one of {len(begin)} states:", *map(show, begin)]
    for which, operations in enumerate(connections):
        lines.append(f"connection {which}:")
        at = positions[which] if positions else len(operations)
        lines += [f"  {'    ' if there < at else '--> ' if there == at else '?   '}{one}"
                  for there, one in enumerate(operations)]
    return "\n".join(lines)


def show(state):
    return "  " + ", ".join(f"{path}={held[:8]}" for path, held in sorted(state.items()))


class NotOneMoment(Exception):
    """No order explains the answers, and none has to: a large tree was copied while others changed it."""


class TooMany(Exception):
    """The search was given up: too many orders are possible."""


def possible_states(states, connections, limit=400_000):
    """The states that may be there in the end, if the tree was in one of `states`. Raises `Impossible` if none may, and
    `NotOneMoment` if a large copy may be why."""
    lengths = [len(operations) for operations in connections]
    needed = [max((at + 1 for at, one in enumerate(operations) if one.answered is not None), default=0)
              for operations in connections]
    start = tuple([0] * len(connections))
    todo, seen, final, steps, large_copies = [], set(), {}, 0, set()
    furthest = (start, [])

    def visit(positions, state):
        key = positions, frozenset(state.items())
        if key not in seen:
            seen.add(key)
            todo.append((positions, state))

    for state in states:
        visit(start, state)
    while todo:
        steps += 1
        if steps > limit:
            raise TooMany(f"{steps} steps")
        positions, state = todo.pop()
        if sum(positions) > sum(furthest[0]):
            furthest = (positions, [])
        if positions == furthest[0]:
            furthest[1].append(state)
        if all(at >= least for at, least in zip(positions, needed)):
            final.setdefault(frozenset(state.items()), state)
        branches = []
        for which, at in enumerate(positions):
            if at == lengths[which]:
                continue
            operation = connections[which][at]
            if any(other != which and there < lengths[other]
                   and connections[other][there].answered is not None
                   and connections[other][there].answered < operation.sent
                   for other, there in enumerate(positions)):
                continue  # something that was answered before this was sent is yet to be placed
            if operation.kind == "copy" and len(tree.below(state, operation.arguments[0])) >= AT_ONCE:
                large_copies.add((which, at))
            after = positions[:which] + (at + 1,) + positions[which + 1 :]
            for answer, changed in operation.apply(state):
                if operation.answered is not None and answer != operation.answer:
                    continue
                if operation.answered is not None and answer not in CHANGED:
                    branches = [(after, state)]
                    break
                branches.append((after, changed))
            else:
                continue
            break
        for after, changed in branches:
            visit(after, changed)
    if not final and any(may_be_mixed(connections, *copy) for copy in large_copies):
        raise NotOneMoment
    if not final:
        raise Impossible(*furthest)
    return list(final.values())


def may_be_mixed(connections, which, at):
    """Whether others changed something while this copy was made."""
    copy = connections[which][at]
    overlaps = lambda one: (copy.answered is None or one.sent < copy.answered) \
        and (one.answered is None or one.answered > copy.sent)
    return any(one.kind not in ("get", "list") and overlaps(one)
               for other, operations in enumerate(connections) if other != which for one in operations)
