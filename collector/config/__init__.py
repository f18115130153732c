"""The configuration: YAML, environment and secrets to `Settings`; the only reader of YAML.

`find` names the files, `load` reads and validates them, `Selection` picks the accounts of a command.
`show_yaml` and `shown` give settings without their secrets, `sample` and `generate` a file to begin with,
`json_schema` what editors check it by, and `imported` turns a sheet of accounts into files.
Nothing here logs or prints: faults are raised all at once, warnings come back with the settings.
"""

from collector.config.editors import generate, json_schema, sample
from collector.config.loading import Settings, find, load
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.config.selection import Selection
from collector.config.sheet import imported
from collector.config.show import show_yaml, shown

__all__ = [
    "ApiSettings",
    "MongoSettings",
    "RunSettings",
    "Selection",
    "Settings",
    "find",
    "generate",
    "imported",
    "json_schema",
    "load",
    "sample",
    "show_yaml",
    "shown",
]
