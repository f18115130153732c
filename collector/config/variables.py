"""Fill environment variables into texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\})?")


class VariableError(ValueError):
    """A text with unset or malformed variables; `problems` holds a message and a remedy for each."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(message for message, _ in problems))
        self.problems = problems


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Fill in `${VAR}` and `${VAR:-default}`; `$${` becomes a plain `${`.

    A default replaces a variable that is unset or empty, as in a shell. The value of a variable is
    taken literally, never filled in again.

    Raises:
        VariableError: a variable is unset, or a `${` isn't of these forms.
    """
    problems: list[tuple[str, str]] = []

    def fill(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:  # the pattern matches a lone `${` too, so that no malformed one passes silently
            problems.append(("a `${` names no variable", "Write ${NAME} or ${NAME:-default}, or $${ for a plain ${."))
            return ""
        if default is None and name not in environ:
            problems.append((f"the variable {name} isn't set", f"Set {name} in the environment."))
        # `or`, not a default of `get`: an empty variable has the default too.
        return environ.get(name) or (default or "")[len(":-") :]

    filled = _VARIABLE.sub(fill, text) if "${" in text else text
    if problems:
        raise VariableError(problems)
    return filled


def without_variables(text: str) -> str:
    """Remove each `${VAR}` from a text; defaults stay."""
    if "${" not in text:
        return text
    return _VARIABLE.sub(lambda match: "" if match["name"] and match["default"] is None else match[0], text)
