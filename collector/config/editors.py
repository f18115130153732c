"""Help for writing a configuration: a sample to begin with, and a JSON Schema for editors."""

from __future__ import annotations

import os
from datetime import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from collector.config.forms import Section
from collector.config.schema import ConfigFile
from collector.config.yamlfile import single_fault
from collector.model.accounts import Rate

_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_NOT_ANY_TEXT = frozenset({"int", "float", "bool", "date", "enum"})


def sample() -> str:
    """Return a commented configuration with every key; `accounts.example.yaml` is the same."""
    return files(__package__).joinpath("sample.yaml").read_text(encoding="utf-8")


def generate(path: Path) -> None:
    """Write the sample into a new file that only its owner can read.

    Raises:
        ConfigError: the file exists already, or could not be written.
    """
    try:
        # O_EXCL also refuses a symbolic link, and the mode is right from the first moment on.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(sample())
    except FileExistsError:
        raise single_fault(path, "the file exists already", "Name another one, or remove it.") from None
    except OSError as error:
        message = f"could not write the file: {error.strerror}"
        raise single_fault(path, message, "Name a folder where you may write.") from None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration file; an included file may hold only `accounts`."""
    schema = ConfigFile.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **schema, "title": "Configuration of wechat-collector"}


class _Generator(GenerateJsonSchema):
    """Generator of a schema in which any value may be a variable, and an unset key is left out, never null."""

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Adapt pydantic's schema of one part of the models to what an editor needs."""
        if schema["type"] == "nullable" or (schema["type"] == "default" and _is_blank(schema.get("default"))):
            return self.generate_inner(schema["schema"])
        if schema["type"] == "time":  # JSON Schema's own time has seconds and a zone
            return _or_variable({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"})
        made = super().generate_inner(schema)
        if r"\p" in made.get("pattern", "").lower():
            made = made | {"pattern": r"\S"}  # not every editor knows Unicode's character classes
        return _or_variable(made) if schema["type"] in _NOT_ANY_TEXT or "pattern" in made else made

    def encode_default(self, dft: Any) -> Any:
        """Return a default as it is written in YAML."""
        if isinstance(dft, time):
            return f"{dft:%H:%M}"
        return str(dft) if isinstance(dft, Rate) else super().encode_default(dft)


def _is_blank(default: object) -> bool:
    return default in (None, (), frozenset()) or isinstance(default, Section)


def _or_variable(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, _VARIABLE]}
