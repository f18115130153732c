"""The configuration: YAML, environment and secrets to `Settings`; the only reader of YAML.

`find` names the files, `load` reads and validates them, `select` picks the accounts of a command.
Nothing here logs or prints: faults are raised all at once, warnings come back with the settings.
"""

from collector.config.loading import Settings, find, load
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.config.selection import select

__all__ = ["ApiSettings", "MongoSettings", "RunSettings", "Settings", "find", "load", "select"]
