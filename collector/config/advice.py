"""Warnings about valid settings that are probably a mistake or a risk, each with file and line."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from collector.config.schema import AccountsFile, ConfigFile
from collector.config.variables import without_variables
from collector.config.yamlfile import Document, Location, Node
from collector.model.accounts import Account, TokenKind
from collector.model.days import FIRST_DAY
from collector.secrets.addresses import is_loopback, mongodb_risk

File = tuple[Document, AccountsFile]

_SECRETS = frozenset({"secret", "authorizer_refresh_token", "verify_ticket"})
_ADDRESSES = frozenset({"uri", "proxy", "url"})
_ROUTES = _ADDRESSES | {"hosts"}
_HEADER = "a header"
_PLAIN_HEADERS = frozenset({"accept", "user-agent"})
_SHELL_VARIABLE = re.compile(r"\$[A-Za-z_]\w*", re.ASCII)
_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@")


def warnings(files: Sequence[File], accounts: Sequence[Account]) -> Iterator[str]:
    """Iterate over the warnings about `files` and their `accounts`, which are in the same order."""
    yield from _readable_secrets(files)
    yield from _writable_by_others(files)
    yield from _unencrypted_routes(files)
    yield from _early_days(files)
    yield from _classic_tokens(files, accounts)
    yield from _shell_variables(files)


def _readable_secrets(files: Sequence[File]) -> Iterator[str]:
    for document, _ in files:
        if not document.mode & stat.S_IROTH:  # a group may read it: that is how deploy/ installs it
            continue
        path, texts = document.path, _texts(Node(1, document.entries), "")
        line = next((line for line, key, text in texts if _is_literal(text, key)), None)
        if line:
            yield f"{path}:{line}: others can read this file and its secrets; run chmod o-r {path}"


def _texts(node: Node, key: str) -> Iterator[tuple[int, str, str]]:
    """Iterate over line, key and text of everything below `node`, whose key is `key`; that of a header is `_HEADER`."""
    match node.value:
        case str(text):
            yield node.line, key, text
        case list(items):
            for item in items:
                yield from _texts(item, "")
        case entries:
            for name, entry in entries.items():
                is_header = key == "headers" and name.lower() not in _PLAIN_HEADERS
                yield from _texts(entry, _HEADER if is_header else name)


def _is_literal(text: str, key: str) -> bool:
    if key in _SECRETS:
        return bool(without_variables(text))
    if key in _ADDRESSES:
        return bool(_PASSWORD.search(without_variables(text)))
    return key == _HEADER and without_variables(text) == text  # text beside a variable is a word such as Bearer


def _writable_by_others(files: Sequence[File]) -> Iterator[str]:
    for document, _ in files:
        # Windows reports every file as writable by all.
        if document.mode & stat.S_IWOTH and sys.platform != "win32":
            path = document.path
            yield f"{path}: everybody can change this file, and with it what the collector runs; run chmod o-w {path}"


def _unencrypted_routes(files: Sequence[File]) -> Iterator[str]:
    """Warn of addresses on other machines without encryption or without its check, once for each server."""
    warned: set[str] = set()
    for document, _ in files:
        for line, key, address in _addresses(Node(1, document.entries), document.values, ""):
            advice = _on_mongodb(address) if key == "uri" else _on_http(key, address)
            if advice and advice not in warned:
                warned.add(advice)
                yield f"{document.path}:{line}: {advice}"


def _addresses(node: Node, value: Any, key: str) -> Iterator[tuple[int, str, str]]:
    """Iterate over line, key and filled-in text of each address in the file."""
    match node.value:
        case str():
            if key in _ROUTES:
                yield node.line, key, value
        case list(items):
            for item, filled in zip(items, value, strict=True):
                yield from _addresses(item, filled, key)
        case entries:
            for name, entry in entries.items():
                if name != "headers":  # the user chooses their names
                    yield from _addresses(entry, value[name], name)


def _on_mongodb(address: str) -> str | None:
    risk = mongodb_risk(address)
    return risk and f"in `uri` {risk}"


def _on_http(key: str, address: str) -> str | None:
    parts = urlsplit(address)
    # A proxy without a password sees encrypted traffic only, unless the host's own address is unencrypted too.
    if parts.scheme != "http" or is_loopback(parts.hostname or "") or (key == "proxy" and not parts.password):
        return None
    what, them = ("the password of `proxy` goes", "it") if key == "proxy" else ("secrets and tokens go", "them")
    server = f"http://{parts.netloc.rpartition('@')[2]}"
    return f"{what} unencrypted to {server}, so anyone on the way can read {them}; write https://"


def _early_days(files: Sequence[File]) -> Iterator[str]:
    for document, file in files:
        days: list[tuple[Location, date | None]] = [
            (("accounts", place, "since"), entry.since) for place, entry in enumerate(file.accounts)
        ]
        if isinstance(file, ConfigFile):
            days.insert(0, (("defaults", "since"), file.defaults.since))
        for location, since in days:
            if since and since < FIRST_DAY:
                where = document.where(location)
                yield f"{where}: `since` is {since}, but WeChat keeps nothing before {FIRST_DAY}; taken as that day"


def _classic_tokens(files: Sequence[File], accounts: Sequence[Account]) -> Iterator[str]:
    places = [(document, ("accounts", place)) for document, file in files for place, _ in enumerate(file.accounts)]
    classic = [
        document.where((*location, "token"))
        for account, (document, location) in zip(accounts, places, strict=True)
        if account.enabled and account.token is TokenKind.CLASSIC
    ]
    if classic:
        count = "1 account fetches its" if len(classic) == 1 else f"{len(classic)} accounts fetch their"
        yield (
            f"{classic[0]}: {count} token by the classic call, which invalidates the token of any other "
            "system of the account; write `token: stable` unless that is wanted"
        )


def _shell_variables(files: Sequence[File]) -> Iterator[str]:
    """Warn of `$ACME_SECRET`, which is taken literally here. It isn't repeated: it might be a real secret."""
    for document, _ in files:
        for line, key, text in _texts(Node(1, document.entries), ""):
            if key in _SECRETS and _SHELL_VARIABLE.fullmatch(text):
                what = "is a $ and a word, taken literally; a variable is written ${ACME_SECRET}"
                yield f"{document.path}:{line}: `{key}` {what}"
