"""Copal plugin for Home Assistant: saves its configuration directory, and restores, moves or clones it.

`App` answers the contract's interface `app`; the module `transform` has the classes of the interface of that name.
"""

import json

import transform  # noqa: F401  The component finds the classes of the interface `transform` here.
from wit_world import exports
from wit_world.exports.app import (
    Application,
    BackupRequest,
    Capability,
    Description,
    Detection,
    RestoreRequest,
    RootSpec,
    VerifyRequest,
)
from wit_world.imports.plan import BackupPlan, RestorePlan
from wit_world.imports.tree import Tree
from wit_world.imports.types import Finding, Intent

from home_assistant import backup, files, restore, service, settings, trees, verify


class App(exports.App):
    """The plugin `example/home-assistant`."""

    def describe(self) -> Description:
        return Description(
            name="example/home-assistant",
            version="0.1.0",
            summary="Saves, restores, moves and clones a Home Assistant: configuration, registries and history.",
            roots=[RootSpec(trees.ROOT, "Home Assistant's configuration directory, /config in its container", [])],
            any_roots=False,
            config_schema=json.dumps(settings.SCHEMA),
            capabilities=[
                Capability("probe:docker inspect -f {{.State.Running}} *", "To see whether the container of `container` runs"),
                Capability(f"run:docker stop -t {service.GRACE} *", "To stop the container while its files are read or replaced"),
                Capability("run:docker start *", "To start the container again after a backup"),
            ],
            applications=[Application("Home Assistant", "Core 0.92 and newer, in a container or installed otherwise")],
            intents=[Intent.RECOVER, Intent.MIGRATE, Intent.CLONE],
        )

    def detect(self, root: Tree) -> Detection | None:
        because = [
            f"there is a {name}"
            for name in (files.VERSION, files.CONFIGURATION, f"{files.STORAGE}/core.config")
            if trees.file(root, name) is not None
        ]
        # Any of the three alone could be something else's.
        confidence = {0: 0, 1: 20, 2: 90, 3: 98}[len(because)]
        if not confidence:
            return None
        return Detection("Home Assistant", trees.version(root), trees.ROOT, confidence, because)

    def plan_backup(self, roots: list[Tree], request: BackupRequest) -> BackupPlan:
        return backup.plan(roots, request)

    def plan_restore(self, targets: list[Tree], snapshot: list[Tree], request: RestoreRequest) -> RestorePlan:
        return restore.plan(targets, snapshot, request)

    def verify(self, targets: list[Tree], snapshot: list[Tree], request: VerifyRequest) -> list[Finding]:
        return verify.verify(targets, snapshot, request)
