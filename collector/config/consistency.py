"""Rules that relate values to one another, over all files: unique names, and references that exist.

They are checked on the values as written, valid or not, so that one fault hides no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from collector.config.nodes import Location
from collector.config.schema import SECRET_FORM, SECTIONS, TOKEN_FORMS
from collector.config.validation import close_to
from collector.config.yamlfile import Document, Located
from collector.errors import Fault
from collector.model.accounts import TokenKind

T = TypeVar("T")

_Mapping = tuple[Document, Location, dict[str, Any]]
"""A mapping of a file, and its location there."""

_PLACEHOLDER = re.compile(r"(?<!\$)\{[A-Za-z_][\w-]*\}", re.ASCII)  # a command may hold a shell's ${word}


def faults(documents: Sequence[Document], *, complete: bool) -> Iterator[Located]:
    """Iterate over contradictions; where `documents` aren't `complete`, what is missing may be in the others."""
    accounts, components = _listed(documents, "accounts"), _listed(documents, "components")
    sections = [(document, *entry) for document in documents for entry in document.sections()]
    sources = [*_sources([*sections, *accounts, *components])]
    yield from _duplicates(accounts, "account")
    yield from _duplicates(components, "component")
    for component in components:
        yield from _credentials(component)
    for source in sources:
        yield from _lifetime_without_json(source)
        yield from _placeholders(source)
    if complete:
        yield from _missing_secrets(sections, accounts)
        yield from _unknown_components(sources, components)


def duplicates(key: str, values: Iterable[tuple[Callable[[], str], object]], what: str) -> Iterator[Fault]:
    """Iterate over `values` of `key` that appear twice; each comes with a function that returns its `FILE:LINE`.

    Empty values have their own fault.
    """
    for where, other in _taken(values):
        yield Fault(where(), *_words_of_duplicate(key, what, other()))


def any_account(documents: Sequence[Document]) -> bool:
    """Return True where an account is listed, or a platform discovers some."""
    switches = (entry.get("discover", "false") for _, _, entry in _listed(documents, "components"))
    return any(document.values.get("accounts") for document in documents) or any(
        str(switch).lower() != "false" for switch in switches
    )


def _listed(documents: Sequence[Document], section: str) -> list[_Mapping]:
    return [(document, *entry) for document in documents for entry in document.mappings(section)]


def _sources(entries: Sequence[_Mapping]) -> Iterator[_Mapping]:
    """Iterate over the mappings that say where a secret, a token or a header is."""
    for document, location, entry in entries:
        for key, value in entry.items():
            if isinstance(value, dict):
                yield document, (*location, key), value
                headers = value.get("headers")
                for name, header in headers.items() if isinstance(headers, dict) else ():
                    if isinstance(header, dict):
                        yield document, (*location, key, "headers", name), header


def _duplicates(entries: Sequence[_Mapping], what: str) -> Iterator[Located]:
    for key in ("name", "appid"):
        values = [((document, (*location, key)), entry.get(key)) for document, location, entry in entries]
        # A location costs a walk through the file, so only those of duplicates are looked up.
        for (document, location), (other, taken) in _taken(values):
            yield document.located(location, *_words_of_duplicate(key, what, other.where(taken)))


def _taken(values: Iterable[tuple[T, object]]) -> Iterator[tuple[T, T]]:
    """Iterate over what has the same value as something else, each with the first that has it as well."""
    owners: dict[str, list[T]] = {}
    for owner, value in values:
        if isinstance(value, str) and value:
            owners.setdefault(value, []).append(owner)
    for first, *others in owners.values():
        if others:
            yield first, others[0]
        for owner in others:
            yield owner, first


def _words_of_duplicate(key: str, what: str, other: str) -> tuple[str, str]:
    return f"`{key}` is taken by the {what} at {other}", f"Give each {what} its own `{key}`, or remove one of the two."


def _credentials(component: _Mapping) -> Iterator[Located]:
    """Require `access_token`, or `secret` and `verify_ticket`, and not both."""
    document, location, entry = component
    own = [key for key in ("secret", "verify_ticket") if key in entry]
    if "access_token" in entry:
        for key in own:
            remedy = "Keep `access_token` alone, or `secret` and `verify_ticket`."
            yield document.located((*location, key), f"`{key}` contradicts `access_token`", remedy)
    elif len(own) < len(("secret", "verify_ticket")):
        missing = "access_token" if not own else "secret" if own == ["verify_ticket"] else "verify_ticket"
        form = SECTIONS["components"].known()[missing].description
        other = "; or add `secret` and `verify_ticket`" if not own else ""
        yield document.located(location, f"`{missing}` is missing", f"Add `{missing}`: {form}{other}.")


def _missing_secrets(sections: Sequence[_Mapping], accounts: Sequence[_Mapping]) -> Iterator[Located]:
    default: object = TokenKind.STABLE
    for _, location, section in sections:
        if location == ("defaults",):
            default = section.get("token", default)  # of several files the later wins
    for document, location, entry in accounts:
        if "secret" not in entry and entry.get("token", default) in tuple(TokenKind):
            remedy = f"Add `secret`: {SECRET_FORM}. Or say with `token` where the account's token is: {TOKEN_FORMS}."
            yield document.located(location, "`secret` is missing", remedy)


def _unknown_components(sources: Sequence[_Mapping], components: Sequence[_Mapping]) -> Iterator[Located]:
    written = {
        entry["name"]: document.at((*location, "name")).value
        for document, location, entry in components
        if isinstance(entry.get("name"), str)
    }
    for document, location, source in sources:
        name = source.get("component") if _is_token(location) else None
        if isinstance(name, str) and name and name not in written:
            close = close_to(name, written)
            remedy = f"Write `{written[close]}`." if close else "Add it under `components:`, or write the name of one."
            what = "`component` names a platform that isn't configured"
            yield document.located((*location, "component"), what, remedy)


def _lifetime_without_json(source: _Mapping) -> Iterator[Located]:
    document, location, values = source
    if "expires_json" in values and "json" not in values and (_is_token(location) or location[-1] == "access_token"):
        remedy = "Add `json`: the keys that lead to the token, such as data.access_token."
        yield document.located((*location, "expires_json"), "`expires_json` needs `json`", remedy)


def _placeholders(source: _Mapping) -> Iterator[Located]:
    """Refuse braces that are not filled in: all but `{appid}` in an account's token."""
    document, location, values = source
    for key in ("url", "command"):
        value = values.get(key)
        texts = value if isinstance(value, list) else [value]
        found = {word for text in texts if isinstance(text, str) for word in _PLACEHOLDER.findall(text)}
        if found - {"{appid}"} or (found and not _is_token(location)):
            only = "alone is filled in, with the account's appid"
            nowhere = "is filled in within an account's `token`, and nowhere else"
            remedy = f"Remove the braces; {{appid}} {only if _is_token(location) else nowhere}."
            yield document.located((*location, key), f"`{key}` holds a word in braces that isn't filled in", remedy)


def _is_token(location: Location) -> bool:
    """Return True for the `token` of an account or of the defaults, but not for a header of that name."""
    return location[-1] == "token" and "headers" not in location
