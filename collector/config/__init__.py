"""The configuration: YAML and environment variables to `Settings`; the only reader of YAML.

`find` returns the files to read, `load` reads and validates them, `Selection` picks the accounts of a command,
`labels_of` reads egress labels.
`show_yaml` and `shown` format settings without their secrets. `sample` and `generate` write a file to begin with,
`json_schema` describes it to editors. `sheet` compares a sheet of accounts with a folder of files, and writes them.
Nothing here logs or prints: faults are raised all at once, warnings are a field of the settings.
"""

from collector.config import sheet
from collector.config.editors import generate, json_schema, sample
from collector.config.loading import Settings, find, load
from collector.config.selection import Selection, labels_of
from collector.config.show import show_yaml, shown

__all__ = [
    "Selection",
    "Settings",
    "find",
    "generate",
    "json_schema",
    "labels_of",
    "load",
    "sample",
    "sheet",
    "show_yaml",
    "shown",
]
