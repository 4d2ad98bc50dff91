import json
import unittest

from componentize_py_types import Err
from wit_world.exports.app import BackupRequest, RestoreRequest, VerifyRequest
from wit_world.exports.transform import Direction, Verdict_Skip
from wit_world.imports.plan import Fact
from wit_world.imports.types import FailureKind, Intent

import transform
from plugin import App
from tests.support import NOW, MemoryTree

RUNNING = {"lock": b"4711\n"}


def backup(tree, **config):
    return App().plan_backup([tree], BackupRequest(json.dumps(config), NOW))


def restore(target, rehearsal=False, **config):
    request = RestoreRequest(Intent.RECOVER, json.dumps(config), NOW, [Fact("format", "3")], [], rehearsal)
    return App().plan_restore([target], [MemoryTree.sample()], request)


def verify(target):
    request = VerifyRequest(Intent.RECOVER, "{}", [Fact("format", "3")], [], False)
    return App().verify([target], [MemoryTree.sample()], request)


def codes(findings):
    return [finding.code for finding in findings]


class Plugin(unittest.TestCase):
    def test_the_application_is_recognised_by_its_files(self):
        self.assertEqual(App().detect(MemoryTree.sample()).root, "home")
        for other in ({}, {"notes/a": b""}, {"notes/a": b"", "settings.ini": b"title = x"}):
            self.assertIsNone(App().detect(MemoryTree(other)))

    def test_drafts_and_the_lock_are_left_out(self):
        tree = MemoryTree.sample(**RUNNING)
        run = transform.Pass.start(Direction.BACKUP, backup(MemoryTree.sample()).state)
        verdicts = zip(tree.list(""), run.classify("home", tree.list("")), strict=True)
        left_out = [entry.path for entry, verdict in verdicts if isinstance(verdict, Verdict_Skip)]
        self.assertEqual(left_out, ["drafts", "lock"])

    def test_an_application_that_runs_is_stopped_or_refused(self):
        self.assertEqual(backup(MemoryTree.sample()).quiesce, [])
        self.assertEqual(codes(backup(MemoryTree.sample(**RUNNING)).findings), ["{{name}}.running"])
        [step] = backup(MemoryTree.sample(**RUNNING), unit="notes.service").quiesce
        self.assertEqual(step.action.value.argv, ["systemctl", "stop", "notes.service"])
        self.assertEqual(step.undo.value.argv, ["systemctl", "start", "notes.service"])
        self.assertEqual(len(restore(MemoryTree(dict(RUNNING)), unit="notes.service").before), 1)
        self.assertEqual(restore(MemoryTree(dict(RUNNING)), rehearsal=True, unit="notes.service").before, [])

    def test_a_target_with_newer_notes_is_refused(self):
        self.assertEqual(restore(MemoryTree({})).findings, [])
        self.assertEqual(codes(restore(MemoryTree({"settings.ini": b"format = 4"})).findings), ["{{name}}.target.newer"])

    def test_what_was_restored_must_be_what_was_saved(self):
        self.assertEqual(verify(MemoryTree.sample()), [])
        self.assertEqual(codes(verify(MemoryTree({}))), ["{{name}}.verify.missing"])
        self.assertEqual(codes(verify(MemoryTree({"settings.ini": b"format = 2"}))), ["{{name}}.verify.format"])

    def test_what_can_not_be_saved_fails_with_its_kind(self):
        for tree, config, kind in (
            (MemoryTree({}), {}, FailureKind.MISSING),
            (MemoryTree.sample(**{"settings.ini": b"format = new"}), {}, FailureKind.CORRUPT),
            (MemoryTree.sample(), {"unit": "--now"}, FailureKind.INVALID_CONFIG),
        ):
            with self.assertRaises(Err) as raised:
                backup(tree, **config)
            self.assertEqual(raised.exception.value.kind, kind)

    def test_what_is_no_configuration_is_refused(self):
        for config in ("null", "[]", "7", "{", '{"unit": 7}', '{"unti": "x"}', "[" * 60_000):
            with self.assertRaises(Err) as raised:
                App().plan_backup([MemoryTree.sample()], BackupRequest(config, NOW))
            self.assertEqual(raised.exception.value.kind, FailureKind.INVALID_CONFIG)
