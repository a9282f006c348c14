"""The checkers themselves: each must find the fault that it is for."""

import unittest

from lab import contents, serial, tree
from lab.serial import Operation


def operation(kind, *arguments, at=(0, 1), answer=None):
    sent, answered = at
    return Operation(kind, *arguments, sent=sent, answered=answered, answer=answer)


class SerialOrders(unittest.TestCase):
    def states(self, *connections, begin=({},)):
        return serial.possible_states(list(begin), [list(operations) for operations in connections])

    def test_a_read_of_an_overwritten_value_is_found(self):
        writes = [operation("put", "a", "one", at=(0, 1), answer="stored"),
                  operation("put", "a", "two", at=(2, 3), answer="stored")]
        read = lambda value, at: [operation("get", "a", at=at, answer=("content", value))]
        self.assertEqual(self.states(writes, read("two", (4, 5))), [{"a": "two"}])
        self.assertEqual(self.states(writes, read("one", (1, 5))), [{"a": "two"}])
        with self.assertRaises(serial.Impossible):
            self.states(writes, read("one", (4, 5)))

    def test_a_lost_acknowledged_write_is_found(self):
        with self.assertRaises(serial.Impossible):
            self.states([operation("put", "a", "one", at=(0, 1), answer="stored"),
                         operation("get", "a", at=(2, 3), answer="not-found")])

    def test_two_readers_must_agree_on_the_order_of_two_writers(self):
        first = [operation("put", "a", "one", at=(0, 9), answer="stored")]
        second = [operation("put", "a", "two", at=(0, 9), answer="stored")]
        reads = lambda *values: [operation("get", "a", at=(1 + 2 * index, 2 + 2 * index), answer=("content", value))
                                 for index, value in enumerate(values)]
        self.states(first, second, reads("one", "two"), reads("one", "two"))
        with self.assertRaises(serial.Impossible):
            self.states(first, second, reads("one", "two"), reads("two", "one"))

    def test_an_unanswered_request_may_have_happened_or_not(self):
        cut = [operation("put", "a", "one", at=(0, None)), operation("put", "b", "two", at=(0, None))]
        states = self.states(cut)
        self.assertIn({}, states)
        self.assertIn({"a": "one"}, states)
        self.assertIn({"a": "one", "b": "two"}, states)
        self.assertNotIn({"b": "two"}, states, "requests of one connection take effect in order")

    def test_a_change_that_may_come_early_without_effect_may_come_late_with_one(self):
        move = operation("move", "e", "d", at=(0, 9), answer="placed")
        again = operation("make-directory", "e", at=(0, 9), answer="done")
        states = self.states([again], [move], begin=[{"e": tree.DIRECTORY}])
        self.assertIn({"d": tree.DIRECTORY}, states)
        self.assertIn({"d": tree.DIRECTORY, "e": tree.DIRECTORY}, states)

    def test_half_a_tree_is_found(self):
        begin = {"d": tree.DIRECTORY, "d/x": "one", "d/y": "two"}
        removal = [operation("remove", "d", True, at=(0, 5), answer="done")]
        seen = lambda state: [operation("list", at=(1, 4), answer=("entries", tuple(sorted(state.items()))))]
        self.states(removal, seen(begin), begin=[begin])
        self.states(removal, seen({}), begin=[begin])
        with self.assertRaises(serial.Impossible):
            self.states(removal, seen({"d": tree.DIRECTORY, "d/y": "two"}), begin=[begin])

    def test_only_a_large_copy_beside_changes_may_be_mixed(self):
        def search(files, put_at):
            begin = {"d": tree.DIRECTORY, **{f"d/{number:02}": "one" for number in range(files)}}
            mixed = {"c" + path[1:]: held for path, held in begin.items()}
            copy = [operation("copy", "d", "c", at=(2, 5), answer="placed"),
                    operation("list", at=(6, 7), answer=("entries", tuple(sorted({
                        **begin, **mixed, "d/00": "two", "d/01": "two", "c/01": "two"}.items()))))]
            puts = [operation("put", f"d/{number:02}", "two", at=put_at, answer="stored") for number in range(2)]
            return self.states(copy, puts, begin=[begin])
        with self.assertRaises(serial.NotOneMoment):
            search(40, (3, 4))
        with self.assertRaises(serial.Impossible):
            search(20, (3, 4))
        with self.assertRaises(serial.Impossible):
            search(40, (0, 1))

    def test_a_refusal_without_a_reason_is_found(self):
        with self.assertRaises(serial.Impossible):
            self.states([operation("put", "a", "one", answer="not-a-directory")])


class Contents(unittest.TestCase):
    def test_a_piece_of_somebody_elses_content_is_named(self):
        made = contents.Contents()
        own, foreign = made.make("alice", 9000), made.make("bob", 9000)
        self.assertEqual(made.describe(foreign.bytes()), f"content {foreign.number} of bob")
        mixed = own.bytes()[:4096] + foreign.bytes()[4096:]
        self.assertIn(f"a piece of content {foreign.number} of bob", made.describe(mixed))


if __name__ == "__main__":
    unittest.main()
