"""The names in a configuration directory, and what a backup leaves out."""

from fnmatch import fnmatchcase

# homeassistant/config.py in core: the version that last started with this directory, on one line.
VERSION = ".HA_VERSION"
CONFIGURATION = "configuration.yaml"
# homeassistant/helpers/storage.py in core.
STORAGE = ".storage"
# homeassistant/helpers/instance_id.py in core.
INSTANCE = f"{STORAGE}/core.uuid"

# The documentation of the integration Recorder: where SQLite is used, which is the default.
DATABASE = "home-assistant_v2.db"
# sqlite.org/wal.html: holds what was committed and is not in the database yet. It goes when the last program closes the database in order.
JOURNAL = f"{DATABASE}-wal"
# The same: an index of the journal, which SQLite makes anew.
INDEX = f"{DATABASE}-shm"

# Files whose loss would leave a Home Assistant without users, devices or integrations; core writes each through helpers/storage.py.
REGISTRIES = [
    f"{STORAGE}/auth",
    f"{STORAGE}/core.config_entries",
    f"{STORAGE}/core.device_registry",
    f"{STORAGE}/core.entity_registry",
]

# What a restored Home Assistant needs and nobody else should read.
SECRETS = [
    "secrets.yaml",
    f"{STORAGE}/auth",
    f"{STORAGE}/auth_provider.homeassistant",
    f"{STORAGE}/core.config_entries",
]

# What Home Assistant leaves out of its own backups (EXCLUDE_FROM_BACKUP in homeassistant/components/backup/const.py in core): in every directory,
_NAMES = [".DS_Store", "*.db-shm", "*.log", "*.log.*"]
_DIRECTORIES = ["__pycache__"]
# and at the top. To these belong the lock, which each start writes anew (homeassistant/runner.py), and `deps`, where Python packages
# are installed that a start installs again (homeassistant/requirements.py).
_TOP = [".HA_RESTORE", ".ha_run.lock", "OZW_Log.txt"]
_TOP_DIRECTORIES = ["deps", "tts"]

# Its own backups.
_ARCHIVES = ["backups/*.tar", "tmp_backups/*.tar"]


def left_out(path: str, directory: bool, history: bool, own_backups: bool) -> bool:
    """Whether a backup leaves this path out, a directory with all beneath it."""
    name = path.rpartition("/")[2]
    if directory:
        return name in _DIRECTORIES or path in _TOP_DIRECTORIES
    if not history and path in (DATABASE, JOURNAL):
        return True
    if not own_backups and any(_matches(path, pattern) for pattern in _ARCHIVES):
        return True
    return path in _TOP or any(fnmatchcase(name, pattern) for pattern in _NAMES)


def _matches(path: str, pattern: str) -> bool:
    # `*` of fnmatch passes over slashes, and these patterns are of one directory.
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
