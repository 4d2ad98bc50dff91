"""How this plugin reports: findings in a plan, and failures that end a call."""

from componentize_py_types import Err
from wit_world.imports.types import Failure, FailureKind, Finding, Severity


def failure(kind: FailureKind, code: str, message: str, remedy: str | None = None) -> Err[Failure]:
    """What to raise where a call can't do its work."""
    return Err(Failure(kind, f"home-assistant.{code}", message, remedy))


def _finding(severity: Severity, code: str, message: str, remedy: str | None, path: str | None) -> Finding:
    return Finding(severity, f"home-assistant.{code}", message, remedy, path)


def info(code: str, message: str, remedy: str | None = None, path: str | None = None) -> Finding:
    """Worth knowing."""
    return _finding(Severity.INFO, code, message, remedy, path)


def warning(code: str, message: str, remedy: str | None = None, path: str | None = None) -> Finding:
    """A person should look."""
    return _finding(Severity.WARNING, code, message, remedy, path)


def error(code: str, message: str, remedy: str | None = None, path: str | None = None) -> Finding:
    """The plan must not be carried out."""
    return _finding(Severity.ERROR, code, message, remedy, path)
