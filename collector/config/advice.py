"""What a configuration may say, but had better not: one sentence each, with file and line."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from datetime import date

from collector.config.schema import AccountsFile, ConfigFile
from collector.config.variables import without_variables
from collector.config.yamlfile import Document, Location
from collector.days import FIRST_DAY
from collector.model import Account, TokenKind

File = tuple[Document, AccountsFile]

_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@")


def on(files: Sequence[File], accounts: Sequence[Account]) -> Iterator[str]:
    """Warnings on `files` and the `accounts` that they gave, in the same order."""
    yield from _readable_secrets(files)
    yield from _early_days(files)
    yield from _classic_tokens(files, accounts)


def _readable_secrets(files: Sequence[File]) -> Iterator[str]:
    for document, _ in files:
        if not document.mode & stat.S_IROTH:
            continue
        literal = next((location for location in _secrets(document) if _is_literal(document, location)), None)
        if literal:
            yield f"{document.where(literal)}: others can read this file and its secrets; run chmod o-r {document.path}"


def _secrets(document: Document) -> Iterator[Location]:
    yield "mongodb", "uri"
    yield "api", "proxy"
    yield from (("accounts", place, "secret") for place, _ in enumerate(document.accounts()))


def _is_literal(document: Document, location: Location) -> bool:
    text = document.at(location).value
    own = without_variables(text) if isinstance(text, str) else ""
    return bool(own if location[-1] == "secret" else _PASSWORD.search(own))


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
            f"{classic[0]}: {count} token by the classic call, which ends the token that any other system "
            "of the account works with; write `token: stable` unless that is wanted"
        )
