import json
import unittest

from componentize_py_types import Err
from wit_world.exports.app import RestoreRequest, VerifyRequest
from wit_world.exports.transform import Direction
from wit_world.imports.plan import Fact
from wit_world.imports.types import Intent

from home_assistant import version
from plugin import App
from tests.support import CONTAINER, DEEP, NOW, MemoryTree, answering, codes, passed

ID = "5f0c3a7e9b1d4c2f8a6e0d3b7c1f9e24"
OTHER = "00000000000040008000000000000000"
JOURNAL = "home-assistant_v2.db-wal"
EMPTY = MemoryTree({})


def uuid_file(identity: str) -> bytes:
    return json.dumps({"version": 1, "key": "core.uuid", "data": {"uuid": identity}}).encode()


def facts(**changes):
    values = {"version": "2025.11.2", "instanceId": ID, "history": True} | changes
    return [Fact(name, json.dumps(value)) for name, value in values.items()]


def plan(target=EMPTY, snapshot=None, intent=Intent.RECOVER, rehearsal=False, noted=None, **config):
    snapshot = snapshot or MemoryTree.sample()
    request = RestoreRequest(intent, json.dumps(config), NOW, noted or facts(), [], rehearsal)
    return App().plan_restore([target], [snapshot], request)


def verify(target, intent=Intent.RECOVER, noted=None):
    request = VerifyRequest(intent, "{}", noted or facts(), [], False)
    return codes(App().verify([target], [MemoryTree.sample()], request))


class Restore(unittest.TestCase):
    def test_a_recovery_changes_nothing(self):
        result = plan()
        self.assertEqual(codes(result.findings), {"version.needed": "info", "start": "info"})
        self.assertEqual(passed(MemoryTree.sample(), Direction.RESTORE, result.state).contents, MemoryTree.sample().contents)

    def test_an_older_target_is_refused(self):
        for present, expected in (("2025.11.1", "target.older"), ("2025.11.2b4", "target.older"), ("2025.11.2", None), ("2026.1.0b1", None), ("odd", "version.unknown")):
            target = MemoryTree({".HA_VERSION": present.encode()})
            found = codes(plan(target).findings)
            self.assertEqual({code for code in found if code != "start"}, {expected} - {None}, present)

    def test_versions_are_ordered_as_they_were_released(self):
        ordered = ["0.92.0", "2025.2.0.dev20250101", "2025.2.0b0", "2025.2.0b10", "2025.2.0", "2025.2.1", "2025.11"]
        self.assertEqual(ordered, sorted(ordered, key=version.parse))
        self.assertIsNone(version.parse("latest"))

    def test_another_home_assistant_is_not_recovered_over(self):
        target = MemoryTree({".storage/core.uuid": uuid_file(OTHER)})
        self.assertEqual(codes(plan(target).findings)["identity.differs"], "error")
        self.assertEqual(codes(plan(target, intent=Intent.MIGRATE).findings)["identity.replaced"], "info")

    def test_a_clone_has_an_identity_of_its_own(self):
        own = MemoryTree({".storage/core.uuid": uuid_file(OTHER)})
        for target, expected in ((own, OTHER), (EMPTY, None)):
            state = plan(target, intent=Intent.CLONE).state
            if expected is None:
                expected = json.loads(state)["identity"]
                self.assertRegex(expected, "^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$")
                self.assertNotEqual(expected, ID)
            outcomes = [passed(MemoryTree.sample(), Direction.RESTORE, state, chunk).contents for chunk in (1, 7, 1 << 20)]
            self.assertEqual(outcomes[0], outcomes[1])
            self.assertEqual(outcomes[0], outcomes[2])
            original = MemoryTree.sample().contents[".storage/core.uuid"]
            self.assertEqual(outcomes[0][".storage/core.uuid"], original.replace(ID.encode(), expected.encode()))
            self.assertEqual(plan(target, intent=Intent.CLONE).state, state)

    def test_a_target_that_seems_to_run_is_refused_or_stopped(self):
        target = MemoryTree({JOURNAL: b"journal"})
        self.assertEqual(codes(plan(target).findings)["target.running"], "error")
        self.assertNotIn("target.running", codes(plan(target, stopped=True).findings))
        self.assertNotIn("target.running", codes(plan(target, rehearsal=True).findings))
        with answering({CONTAINER: (0, b"true\n", b"")}):
            [step] = plan(target, container="hass").before
            self.assertIsNone(step.undo)
            self.assertEqual(plan(target, container="hass", rehearsal=True).before, [])

    def test_the_old_databases_journal_goes(self):
        target = MemoryTree({JOURNAL: b"journal", "home-assistant_v2.db-shm": b"index"})
        self.assertEqual([step.id for step in plan(target, stopped=True).after], ["remove-journal", "remove-index"])
        with_journal = MemoryTree.sample(**{JOURNAL: b"another"})
        self.assertEqual([step.id for step in plan(target, with_journal, stopped=True).after], ["remove-index"])
        without = MemoryTree.sample(**{"home-assistant_v2.db": None})
        target.contents["home-assistant_v2.db"] = b"its own"
        result = plan(target, without, stopped=True)
        self.assertEqual(result.after, [])
        self.assertIn("history.kept", codes(result.findings))

    def test_facts_that_are_damaged_are_refused_and_missing_ones_are_not(self):
        for name, value in (("version", "7"), ("instanceId", "[]"), ("history", '"x"'), ("version", "{"), ("version", DEEP)):
            with self.assertRaises(Err):
                plan(noted=[Fact(name, value)])
        self.assertIn("version.unknown", codes(plan(noted=[Fact("other", "1")]).findings))

    def test_a_snapshot_of_something_else_is_refused(self):
        with self.assertRaises(Err):
            plan(snapshot=MemoryTree({"a": b""}))


class Verify(unittest.TestCase):
    def test_what_is_whole_is_said_to_be(self):
        self.assertEqual(verify(MemoryTree.sample()), {"verify.whole": "info"})

    def test_what_is_not_whole_is_an_error(self):
        database = MemoryTree.sample().contents["home-assistant_v2.db"]
        for changes, code in (
            ({".HA_VERSION": b"2025.1.0"}, "verify.version"),
            ({".storage/auth": None}, "verify.registry"),
            ({".storage/core.entity_registry": b"{"}, "verify.registry"),
            ({".storage/core.entity_registry": DEEP.encode()}, "verify.registry"),
            ({".storage/core.uuid": uuid_file(OTHER)}, "verify.identity"),
            ({"home-assistant_v2.db": None}, "verify.database"),
            ({"home-assistant_v2.db": database[:512]}, "verify.database"),
            ({"home-assistant_v2.db": database[:600]}, "verify.database"),
            ({"home-assistant_v2.db": bytes(len(database))}, "verify.database"),
            ({JOURNAL: b"another's"}, "verify.journal"),
        ):
            self.assertEqual(verify(MemoryTree.sample(**changes)), {code: "error"}, changes)

    def test_a_clone_must_differ_from_the_original(self):
        self.assertEqual(verify(MemoryTree.sample(), Intent.CLONE), {"verify.identity": "error"})
        clone = MemoryTree.sample(**{".storage/core.uuid": uuid_file(OTHER)})
        self.assertEqual(verify(clone, Intent.CLONE), {"verify.whole": "info"})
