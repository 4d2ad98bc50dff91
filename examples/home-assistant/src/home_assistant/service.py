"""The container that Home Assistant runs in: whether it runs, how it is stopped and started."""

from enum import Enum, auto

from componentize_py_types import Err
from wit_world.imports import process
from wit_world.imports.plan import Action_Run, Step
from wit_world.imports.types import Command

# core takes up to 240 s to stop in order (S6_SERVICESGRACETIME in its Dockerfile); `docker stop` would kill it after ten.
GRACE = 240
_TIMEOUT = 300


class State(Enum):
    """What a container does."""

    RUNNING = auto()
    STOPPED = auto()
    ABSENT = auto()
    UNKNOWN = auto()


def command(*argv: str) -> Command:
    """A command without a shell."""
    return Command(argv=list(argv), environment=[], stdin=None, descriptors=[], timeout=_TIMEOUT)


def state(container: str) -> State:
    """Whether the container runs. What can't be found out is `UNKNOWN`, and to be taken as running."""
    # A single brace is doubled in a command, because `{…}` is a placeholder there.
    look = command("docker", "inspect", "-f", "{{{{.State.Running}}}}", container)
    try:
        output = process.run(look)
    except Err:
        return State.UNKNOWN
    if output.code == 0:
        return State.STOPPED if output.stdout.strip() == b"false" else State.RUNNING
    return State.ABSENT if b"no such" in output.stderr.lower() else State.UNKNOWN


def stop(container: str, thaw: bool) -> Step:
    """Stops the container; with `thaw` it is started again, whatever happens."""
    return Step(
        id="stop",
        title=f"Stop the container {container}",
        action=Action_Run(command("docker", "stop", "-t", str(GRACE), container)),
        undo=Action_Run(command("docker", "start", container)) if thaw else None,
        capture=False,
    )
