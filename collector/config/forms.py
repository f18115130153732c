"""Forms of a secret, a token or a ticket: a text, or a mapping that says where it is.

One key picks the form of a mapping, since no other form has it: `{file: …}`, `{url: …, json: …}`. So faults are
reported for the form that was meant, and for no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from collector.config.texts import UNFIT, server_address, written
from collector.model.accounts import (
    FromCommand,
    FromComponent,
    FromCredential,
    FromFile,
    FromUrl,
    Origin,
    Secret,
    TokenKind,
)

Name = Annotated[str, StringConstraints(max_length=100, pattern=r"^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$")]

UNKNOWN_FORM = "unknown form"
"""The type of the error for a value in none of its forms; its context has the keys that pick one, and all keys."""

TEXT = "<text>"

_JsonPath = Annotated[str, written(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")]
_Argv = Annotated[tuple[Annotated[str, written(r"[^\x00\ud800-\udfff]+")], ...], Field(min_length=1)]
_HeaderName = Annotated[str, written("[!#$%&'*+.^_`|~0-9A-Za-z-]+")]
# No control characters, or a value could add a header of its own.
_HEADER_VALUE = written(r"(?=.*\S)[^\x00-\x1f\x7f\ud800-\udfff]+")
_WORD = written(f"[^{UNFIT}]+")


class Section(BaseModel):
    """A mapping of the file; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """Return the fields by their keys in the file."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


@dataclass(frozen=True, slots=True)
class BlankAs:
    """Marks a value that counts as left out where all its lines are commented out."""

    empty: Callable[[], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema with which pydantic validates the value."""
        # A key with nothing after it is an empty text, as every scalar is a text here.
        return core_schema.no_info_before_validator_function(
            lambda value: self.empty() if value == "" else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema for editors, to which a blank is null."""
        return {"anyOf": [handler(schema), {"type": "null"}]}


class Form(Section):
    """A mapping in place of a text."""

    origin: ClassVar[Callable[..., object]]

    @classmethod
    def key(cls) -> str:
        """Return the key that picks this form: its first field."""
        return next(iter(cls.model_fields))

    def made(self) -> object:
        """Return the model's value for it, which takes the fields in their order, and mappings as pairs."""
        values = (tuple(value.items()) if isinstance(value, dict) else value for _, value in self)
        return self.origin(*values)


@dataclass(frozen=True, slots=True)
class Forms:
    """Marks a value that may be written as a `text`, where that is a type, or as one of `mappings`."""

    text: Any
    mappings: tuple[type[Form], ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema with which pydantic validates the value: of its forms, not of `source`, their result."""
        del source
        choices: dict[Any, CoreSchema] = {
            tag_of(form): core_schema.no_info_after_validator_function(form.made, handler.generate_schema(form))
            for form in self.mappings
        }
        if self.text:  # a platform's token has no text form: it lives for two hours only
            choices[TEXT] = handler.generate_schema(self.text)
        known = dict.fromkeys(key for form in self.mappings for key in form.known())
        return core_schema.tagged_union_schema(
            choices,
            self._tag,
            custom_error_type=UNKNOWN_FORM,
            custom_error_message=UNKNOWN_FORM,
            custom_error_context={"keys": " ".join(form.key() for form in self.mappings), "known": " ".join(known)},
        )

    def _tag(self, value: object) -> str | None:
        # None makes pydantic report UNKNOWN_FORM, which validation.py turns into words.
        if isinstance(value, dict):
            return next((tag_of(form) for form in self.mappings if form.key() in value), None)
        return TEXT if isinstance(value, str | Secret) else None


def tag_of(form: type[Form]) -> str:
    """Return the name of the form in the locations of pydantic's errors."""
    return f"<{form.__name__}>"


def _absolute(path: Path, info: ValidationInfo) -> Path:
    # Relative to the file, not to the working directory, which differs between cron and a shell.
    folder: Path = (info.context or {}).get("folder", Path())
    return folder.joinpath(path).absolute()


FilePath = Annotated[Path, written(r"[^\x00\ud800-\udfff]+"), AfterValidator(_absolute)]
"""A path, relative to the folder of the file in which it is written."""


class FileForm(Form):
    """A file that holds the secret."""

    origin = FromFile
    file: FilePath = Field(description="the path of a file, absolute or relative to this file's folder")


class CredentialForm(Form):
    """A file in systemd's `$CREDENTIALS_DIRECTORY`."""

    origin = FromCredential
    # A single file name: with a path in it, any file could be read.
    credential: Annotated[str, written(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f\ud800-\udfff]{1,255}")] = Field(
        description="the name of a credential, such as acme-secret, without a path"
    )


class CommandForm(Form):
    """A command that prints the value."""

    origin = FromCommand
    command: _Argv = Field(description="a list of a program and its arguments, such as [get-secret, acme]")


def secret_forms(text: Any = _WORD) -> Forms:
    """Return the forms of a secret; `text` validates one that the file, or a variable in it, holds."""
    return Forms(Annotated[Secret, text], (FileForm, CredentialForm, CommandForm))


_JSON: Any = Field(
    default=None,
    alias="json",
    description="the keys that lead to the value in the JSON, joined by dots, such as data.access_token",
)
_EXPIRES_JSON: Any = Field(
    default=None,
    description="the keys that lead to the lifetime in seconds in the JSON, joined by dots, such as data.expires_in",
)


class CommandJsonForm(CommandForm):
    """A command that prints the value, or JSON that holds it."""

    json_: _JsonPath | None = _JSON


class CommandTokenForm(CommandJsonForm):
    """A command that prints a token, or JSON that holds it and its lifetime."""

    expires_json: _JsonPath | None = _EXPIRES_JSON


class UrlJsonForm(Form):
    """A server that answers with the value, or with JSON that holds it."""

    origin = FromUrl
    url: Annotated[Secret, BeforeValidator(server_address)] = Field(
        description=(
            "the address of a server, such as https://tokens.internal/, with @ : / ? # % of a password percent-encoded"
        )
    )
    headers: Annotated[dict[_HeaderName, Annotated[Origin, secret_forms(_HEADER_VALUE)]], BlankAs(dict)] = Field(
        default_factory=dict,
        description=(
            'names and values of HTTP headers, such as {Authorization: "Bearer ${KEY}"}; a value may also be '
            "{file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"
        ),
    )
    json_: _JsonPath | None = _JSON


class UrlTokenForm(UrlJsonForm):
    """A server that answers with a token, or with JSON that holds it and its lifetime."""

    expires_json: _JsonPath | None = _EXPIRES_JSON


class ComponentForm(Form):
    """One of `components:`, which the account has authorised."""

    origin = FromComponent
    component: Name = Field(description="the `name` of one of `components:`")


TOKEN = Forms(TokenKind, (ComponentForm, UrlTokenForm, CommandTokenForm))
COMPONENT_TOKEN = Forms(None, (UrlTokenForm, CommandTokenForm))
TICKET = Forms(Annotated[Secret, _WORD], (FileForm, CredentialForm, UrlJsonForm, CommandJsonForm))

FORMS: dict[str, type[Form]] = {
    tag_of(form): form for kind in (TOKEN, COMPONENT_TOKEN, TICKET, secret_forms()) for form in kind.mappings
}
"""All forms by their names in the locations of errors."""
