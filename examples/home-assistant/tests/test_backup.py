import json
import unittest

from componentize_py_types import Err
from wit_world.exports.app import BackupRequest
from wit_world.exports.transform import Direction
from wit_world.imports.types import FailureKind

from plugin import App
from transform import Pass
from tests.support import CONTAINER, DEEP, NOW, MemoryTree, answering, codes, passed

JOURNAL = "home-assistant_v2.db-wal"


def plan(tree: MemoryTree, **config):
    return App().plan_backup([tree], BackupRequest(json.dumps(config), NOW))


class Backup(unittest.TestCase):
    def test_what_home_assistant_makes_anew_is_left_out(self):
        tree = MemoryTree.sample(
            **{
                "home-assistant_v2.db-shm": b"index",
                "home-assistant.log.1": b"",
                "deps/lib/x.py": b"",
                "custom_components/demo/__pycache__/a.pyc": b"",
                "custom_components/demo/__init__.py": b"kept",
                "www/tts/kept": b"",
                "backups/1.tar": b"",
                "backups/kept.txt": b"",
            }
        )
        saved = passed(tree, Direction.BACKUP, plan(tree).state)
        self.assertEqual(
            sorted(saved.contents),
            [
                ".HA_VERSION",
                ".storage/auth",
                ".storage/core.config",
                ".storage/core.config_entries",
                ".storage/core.device_registry",
                ".storage/core.entity_registry",
                ".storage/core.uuid",
                "automations.yaml",
                "backups/kept.txt",
                "configuration.yaml",
                "custom_components/demo/__init__.py",
                "home-assistant_v2.db",
                "secrets.yaml",
                "www/tts/kept",
            ],
        )

    def test_the_settings_decide_about_the_history_and_its_own_backups(self):
        tree = MemoryTree.sample(**{"backups/1.tar": b"", JOURNAL: b"journal"})
        saved = passed(tree, Direction.BACKUP, plan(tree, history=False, own_backups=True).state)
        self.assertIn("backups/1.tar", saved.contents)
        self.assertFalse([path for path in saved.contents if path.startswith("home-assistant_v2")])

    def test_the_journal_is_saved_with_the_database(self):
        tree = MemoryTree.sample(**{JOURNAL: b"journal"})
        result = plan(tree, stopped=True)
        self.assertEqual(codes(result.findings), {"recovered": "info", "secrets": "info"})
        self.assertIn(JOURNAL, passed(tree, Direction.BACKUP, result.state).contents)

    def test_the_facts_tell_version_identity_and_history(self):
        facts = {fact.name: json.loads(fact.value) for fact in plan(MemoryTree.sample()).facts}
        self.assertEqual(facts, {"version": "2025.11.2", "instanceId": "5f0c3a7e9b1d4c2f8a6e0d3b7c1f9e24", "history": True})

    def test_a_running_container_is_stopped_and_started_again(self):
        for answer in ((0, b"true\n", b""), (1, b"", b"Cannot connect to the Docker daemon")):
            with answering({CONTAINER: answer}):
                [step] = plan(MemoryTree.sample(), container="hass").quiesce
            self.assertEqual(step.action.value.argv, ["docker", "stop", "-t", "240", "hass"])
            self.assertEqual(step.undo.value.argv, ["docker", "start", "hass"])
        with answering({}):
            self.assertEqual(len(plan(MemoryTree.sample(), container="hass").quiesce), 1)

    def test_a_stopped_container_stays_stopped(self):
        with answering({CONTAINER: (0, b"false\n", b"")}):
            self.assertEqual(plan(MemoryTree.sample(), container="hass").quiesce, [])

    def test_what_must_not_be_saved_is_refused(self):
        with answering({CONTAINER: (1, b"", b"Error: No such object: hass")}):
            self.assertEqual(codes(plan(MemoryTree.sample(), container="hass").findings)["container.missing"], "error")
        running = MemoryTree.sample(**{JOURNAL: b"journal"})
        self.assertEqual(codes(plan(running).findings)["running"], "error")
        self.assertEqual(codes(plan(running, history=False).findings)["running"], "warning")

    def test_what_is_missing_or_broken_is_told(self):
        for identity in (b"{", DEEP.encode()):
            tree = MemoryTree.sample(**{".HA_VERSION": None, "home-assistant_v2.db": None, ".storage/core.uuid": identity})
            self.assertEqual(
                codes(plan(tree).findings),
                {"version.unknown": "warning", "history.elsewhere": "warning", "identity.unreadable": "warning", "closed": "info", "secrets": "info"},
            )

    def test_another_directory_is_no_home_assistant(self):
        with self.assertRaises(Err) as raised:
            plan(MemoryTree({"a": b""}))
        self.assertEqual(raised.exception.value.kind, FailureKind.UNSUPPORTED)

    def test_a_setting_that_does_not_fit_is_named(self):
        for config, key in (({"container": 1}, "container"), ({"container": "--rm"}, "container"), ({"histroy": True}, "histroy"), ({"history": "no"}, "history")):
            with self.assertRaises(Err) as raised:
                plan(MemoryTree.sample(), **config)
            self.assertEqual(raised.exception.value.kind, FailureKind.INVALID_CONFIG)
            self.assertIn(f"`{key}`", raised.exception.value.message)
        for text in ("null", "[]", "7", "{", "", DEEP):
            with self.assertRaises(Err) as raised:
                App().plan_backup([MemoryTree.sample()], BackupRequest(text, NOW))
            self.assertEqual(raised.exception.value.kind, FailureKind.INVALID_CONFIG)

    def test_a_state_that_is_damaged_is_refused(self):
        for direction in Direction:
            for state in (b"", b"{", b"null", b"7", b"[]", b"{}", b"\xff", DEEP.encode()):
                with self.assertRaises(Err):
                    Pass.start(direction, state)


class Detect(unittest.TestCase):
    def test_it_is_recognised_by_its_own_files(self):
        for contents, confidence in (
            (MemoryTree.sample().contents, 98),
            ({".HA_VERSION": b"2025.1.0\n", "configuration.yaml": b""}, 90),
            ({"configuration.yaml": b""}, 20),
        ):
            self.assertEqual(App().detect(MemoryTree(contents)).confidence, confidence)
        self.assertEqual(App().detect(MemoryTree.sample()).version, "2025.11.2")
        self.assertIsNone(App().detect(MemoryTree({"a": b""})))
