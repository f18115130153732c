import asyncio
import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.errors import CallKind, OriginError, Reaction, SlowCommandError
from collector.model.accounts import FromCommand, FromCredential, FromFile, Origin, Secret
from collector.runtime import MAX_FAILURES
from collector.secrets import commands
from collector.secrets.commands import MAX_BYTES
from collector.secrets.reader import MAX_COMMANDS, Secrets

LEAK = "hunter2"
"""A word of a secret that no message may hold."""


def written(folder: Path, raw: bytes, mode: int = 0o600) -> FromFile:
    """A file of secrets in `folder`."""
    path = folder / "secret"
    path.write_bytes(raw)
    path.chmod(mode)
    return FromFile(path)


def shell(script: str, *arguments: str) -> FromCommand:
    """A command of several; what is put into `script` comes as $0, $1 …"""
    return FromCommand(("sh", "-c", script, *arguments))


async def value_of(origin: Origin, *, line: bool = False) -> str:
    return (await Secrets().read(origin, line=line)).get_secret_value()


async def refusal_of(origin: Origin, secrets: Secrets | None = None) -> OriginError:
    with pytest.raises(OriginError) as failed:
        await (secrets or Secrets()).read(origin)
    return failed.value


def shown(error: BaseException) -> str:
    """All that an error shows of itself, wherever it may be printed."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    return "\n".join(parts)


async def cancelled(reader: asyncio.Task[Secret]) -> None:
    """Cancel somebody who reads a secret, and see that it doesn't take long."""
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await reader


async def ended(pipe: int) -> bytes:
    """What was written to `pipe`, once nobody is left who could write more."""

    def read() -> bytes:
        os.set_blocking(pipe, True)
        with open(pipe, "rb") as file:
            return file.read()

    async with asyncio.timeout(20):
        return await asyncio.to_thread(read)


# In the configuration


async def test_secret_in_the_configuration() -> None:
    assert await value_of(Secret("s3cret")) == "s3cret"


# In a file


@pytest.mark.parametrize("raw", [b"s3cret", b"s3cret\n", b" \t s3cret \r\n\r\n", b"\xef\xbb\xbfs3cret\r\n"])
async def test_blanks_are_cut_off(raw: bytes, tmp_path: Path) -> None:
    """Blanks line ends and a byte order mark around a secret are cut off."""
    assert await value_of(written(tmp_path, raw)) == "s3cret"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
async def test_file_of_a_group(mode: int, tmp_path: Path) -> None:
    assert await value_of(written(tmp_path, b"s3cret", mode)) == "s3cret"


@pytest.mark.parametrize("mode", [0o604, 0o644])
async def test_file_of_everybody(mode: int, tmp_path: Path) -> None:
    origin = written(tmp_path, LEAK.encode(), mode)
    error = await refusal_of(origin)
    assert str(error) == f"everybody can read the secret in {origin.path}: run chmod o-r {origin.path}"
    assert LEAK not in shown(error)


REFUSED_CONTENTS = [
    (b"", "the file {} holds nothing: see that the value is there"),
    (b" \n\t\r\n", "the file {} holds nothing: see that the value is there"),
    (b"hunter2 two", "the file {} holds more than one word: see that the value alone is there"),
    (b"hunter2\ntwo\n", "the file {} holds more than one word: see that the value alone is there"),
    (b"hunter2\x00two", "the file {} holds more than one word: see that the value alone is there"),
    (b"hunter2\xff", "the file {} holds bytes that aren't UTF-8: see that the value is there, as plain text"),
    (
        "hunter2".encode("utf-16"),
        "the file {} holds bytes that aren't UTF-8: see that the value is there, as plain text",
    ),
    (b"hunter2" * MAX_BYTES, "the file {} has more than 65,536 bytes: let it hold the secret alone"),
]


@pytest.mark.parametrize(("raw", "message"), REFUSED_CONTENTS)
async def test_file_of_more_than_one_word(raw: bytes, message: str, tmp_path: Path) -> None:
    origin = written(tmp_path, raw)
    error = await refusal_of(origin)
    assert str(error) == message.format(origin.path)
    assert LEAK not in shown(error)


async def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    assert str(await refusal_of(FromFile(path))) == (
        f"the file {path} can't be read (No such file or directory): "
        "correct the path, or let the collector's user read it"
    )


async def test_folder_and_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path, pipe):
        assert str(await refusal_of(FromFile(path))) == f"{path} isn't a file: correct the path"


async def test_line(tmp_path: Path) -> None:
    assert await value_of(written(tmp_path, b"Bearer s3cret\n"), line=True) == "Bearer s3cret"
    with pytest.raises(OriginError, match="holds more than one line: see that the value alone is there"):
        await value_of(written(tmp_path, b"Bearer s3cret\nX: y\n"), line=True)


# From systemd


async def test_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    written(tmp_path, b"s3cret\n", 0o400)
    assert await value_of(FromCredential("secret")) == "s3cret"
    assert str(await refusal_of(FromCredential("other"))) == (
        f"the file {tmp_path / 'other'} can't be read (No such file or directory): "
        "correct the path, or let the collector's user read it"
    )


@pytest.mark.parametrize("folder", [None, ""])
async def test_credential_without_a_folder(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if folder is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder)
    assert str(await refusal_of(FromCredential("b-secret"))) == (
        "the credential b-secret can't be read, since $CREDENTIALS_DIRECTORY isn't set: "
        "start the collector by systemd with LoadCredential=, or set the variable"
    )


# From a command


async def test_command() -> None:
    assert await value_of(shell("echo s3cret")) == "s3cret"


async def test_no_shell() -> None:
    plain = "$HOME;`id`|*>{a,b}~&\\'\""
    assert await value_of(FromCommand(("printf", "%s", plain))) == plain


async def test_stdin_is_empty() -> None:
    own, (ours, theirs) = os.dup(0), os.pipe()
    os.write(theirs, b"for us alone")
    os.close(theirs)
    os.dup2(ours, 0)
    try:
        error = await refusal_of(FromCommand(("cat",)))
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(ours)
    assert str(error) == "the command cat printed nothing: see that the value is there"


async def test_stderr_is_ignored() -> None:
    assert await value_of(shell("echo careful >&2; echo s3cret; echo careful >&2")) == "s3cret"


async def test_missing_command() -> None:
    error = await refusal_of(FromCommand(("/nowhere/get-token", LEAK)))
    assert str(error) == (
        "the command get-token can't be started (No such file or directory): correct the path, or make it executable"
    )
    assert LEAK not in shown(error)


@pytest.mark.parametrize(("mode", "reason"), [(0o600, "Permission denied"), (0o700, "Exec format error")])
async def test_command_cant_be_executed(mode: int, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, b"no program", mode).path
    assert str(await refusal_of(FromCommand((str(path),)))) == (
        f"the command secret can't be started ({reason}): correct the path, or make it executable"
    )


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 3", "failed with exit code 3"),
        ("echo s3cret; exit 1", "failed with exit code 1"),
        ("kill -9 $$", "was ended by signal 9"),
    ],
)
async def test_exit_code_of_a_failed_command(script: str, how: str) -> None:
    assert str(await refusal_of(shell(script))) == f"the command sh {how}: run it by hand to see why"


async def test_failed_command_shows_nothing_of_stderr() -> None:
    """Neither arguments nor stderr nor output stand in the error: any of them may hold a secret."""
    error = await refusal_of(shell('echo "no key: $0" >&2; echo "$0"; exit 2', LEAK))
    assert str(error) == "the command sh failed with exit code 2: run it by hand to see why"
    assert LEAK not in shown(error)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo hunter2 two", "the command sh printed more than one word: see that the value alone is there"),
        (
            r"printf 'hunter2\377'",
            "the command sh printed bytes that aren't UTF-8: see that the value is there, as plain text",
        ),
        ("echo", "the command sh printed nothing: see that the value is there"),
    ],
)
async def test_output_isnt_shown(script: str, message: str) -> None:
    error = await refusal_of(shell(script))
    assert str(error) == message
    assert LEAK not in shown(error)


async def test_endless_output() -> None:
    assert str(await refusal_of(FromCommand(("yes", LEAK)))) == (
        "the command yes printed more than 65,536 bytes: let it print one value"
    )


async def test_endless_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "COMMAND_S", 0.05)
    assert str(await refusal_of(shell("yes >&2"))) == (
        "the command sh took longer than 0.05 s: run it by hand to see why"
    )


HOLDS_A_PIPE = 'exec 3>"$0"; sleep 60 & echo up >&3; sleep 60'
"""Two processes that both hold the pipe $0 open."""


@pytest.fixture
def pipe(tmp_path: Path) -> tuple[str, int]:
    """A named pipe, and its end to read from."""
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return str(path), os.open(path, os.O_RDONLY | os.O_NONBLOCK)


async def test_slow_command_is_killed(pipe: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes too long is ended with all that it started."""
    monkeypatch.setattr(commands, "COMMAND_S", 0.2)
    error = await refusal_of(shell(HOLDS_A_PIPE, pipe[0]))
    assert str(error) == "the command sh took longer than 0.2 s: run it by hand to see why"
    await ended(pipe[1])


async def test_cancelled_read_kills_the_command(pipe: tuple[str, int]) -> None:
    """A command whose reader is cancelled ends with all that it started."""
    loop, up = asyncio.get_running_loop(), asyncio.Event()
    reader = asyncio.create_task(Secrets().read(shell(HOLDS_A_PIPE, pipe[0])))
    loop.add_reader(pipe[1], up.set)
    await up.wait()
    loop.remove_reader(pipe[1])
    await cancelled(reader)
    assert await ended(pipe[1]) == b"up\n"


@pytest.mark.parametrize("turns", range(6))
async def test_cancelled_while_starting(turns: int, pipe: tuple[str, int]) -> None:
    """A command whose reader is cancelled while it starts ends as well."""
    reader = asyncio.create_task(Secrets().read(shell(HOLDS_A_PIPE, pipe[0])))
    for _ in range(turns):
        await asyncio.sleep(0)
    await cancelled(reader)
    await ended(pipe[1])


async def test_cancelled_before_a_failed_start() -> None:
    """A command that can't start doesn't hide that its reader was cancelled."""
    reader = asyncio.create_task(Secrets().read(FromCommand(("/nowhere/x",))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(reader)


async def test_command_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError  # as with sudo

    monkeypatch.setattr(os, "killpg", refuse)
    process, printed = await commands._start(("sleep", "60"))
    await commands._end(process, printed)
    assert process.is_closing()
    await printed.gone.wait()  # this one could be killed after all


async def test_output_held_by_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that outlives the command and holds its output open isn't waited for."""
    monkeypatch.setattr(commands, "PIPES_S", 0.05)
    os.mkfifo(tmp_path / "pipe", 0o600)
    end = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        secret = await Secrets().read(shell('setsid cat "$0" & echo word', str(tmp_path / "pipe")))
    finally:
        os.close(end)  # which ends the one who left
    assert secret.get_secret_value() == "word"


async def test_max_commands(tmp_path: Path) -> None:
    script = 'touch "$0/$$"; ls "$0" | wc -l >>"$0.most"; sleep 0.05; rm "$0/$$"; echo x'
    (tmp_path / "now").mkdir()
    secrets = Secrets()
    await asyncio.gather(*(secrets.output_of(("sh", "-c", script, str(tmp_path / "now"))) for _ in range(20)))
    most = max(int(line) for line in (tmp_path / "now.most").read_text().split())
    assert 1 < most <= MAX_COMMANDS


async def test_breaker_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose commands all take too long isn't started any more."""
    monkeypatch.setattr(commands, "COMMAND_S", 0.05)
    secrets, count = Secrets(), tmp_path / "count"
    for _ in range(MAX_FAILURES + 2):
        with pytest.raises(SlowCommandError, match=r"the command sh took longer than 0\.05 s"):
            await secrets.output_of(("sh", "-c", 'echo >>"$0"; sleep 60', str(count)))
    assert len(count.read_bytes()) == MAX_FAILURES


# Once a run


@pytest.fixture
def counted(tmp_path: Path) -> tuple[Callable[[str], FromCommand], Callable[[], int]]:
    """A command that counts how often it is started, and the count."""
    count = tmp_path / "count"
    count.touch()

    def command(script: str) -> FromCommand:
        return shell(f'echo >>"$0"; {script}', str(count))

    return command, lambda: len(count.read_bytes())


async def test_command_runs_once(
    counted: tuple[Callable[[str], FromCommand], Callable[[], int]],
) -> None:
    command, count = counted
    secrets = Secrets()
    found = await asyncio.gather(*(secrets.read(command("echo s3cret")) for _ in range(50)))
    assert {secret.get_secret_value() for secret in found} == {"s3cret"}
    assert count() == 1


async def test_failed_command_isnt_repeated(
    counted: tuple[Callable[[str], FromCommand], Callable[[], int]],
) -> None:
    command, count = counted
    secrets = Secrets()
    reads = (secrets.read(command("echo sealed >&2; exit 1")) for _ in range(50))
    failed = await asyncio.gather(*reads, return_exceptions=True)
    assert {str(error) for error in failed} == {"the command sh failed with exit code 1: run it by hand to see why"}
    assert len({id(error) for error in failed}) == 50
    await refusal_of(command("echo sealed >&2; exit 1"), secrets)
    assert count() == 1


async def test_file_is_read_once(tmp_path: Path) -> None:
    secrets = Secrets()
    first, gone = written(tmp_path, b"first"), FromFile(tmp_path / "gone")
    assert (await secrets.read(first)).get_secret_value() == "first"
    await refusal_of(gone, secrets)
    written(tmp_path, b"second").path.rename(gone.path)
    assert (await secrets.read(first)).get_secret_value() == "first"
    await refusal_of(gone, secrets)


async def test_fresh_secret(tmp_path: Path) -> None:
    secrets = Secrets()
    origin = written(tmp_path, b"first")
    assert (await secrets.read(origin)).get_secret_value() == "first"
    written(tmp_path, b"second")
    assert (await secrets.read(origin, fresh=True)).get_secret_value() == "second"
    assert (await secrets.read(origin)).get_secret_value() == "second"


async def test_cancelled_read(
    counted: tuple[Callable[[str], FromCommand], Callable[[], int]], pipe: tuple[str, int]
) -> None:
    command, count = counted
    origin = command(f'[ -s "$0.again" ] || {{ echo >"$0.again"; echo up >{pipe[0]}; sleep 60; }}; echo s3cret')
    secrets, up = Secrets(), asyncio.Event()
    first = asyncio.create_task(secrets.read(origin))
    second = asyncio.create_task(secrets.read(origin))
    asyncio.get_running_loop().add_reader(pipe[1], up.set)
    await up.wait()
    asyncio.get_running_loop().remove_reader(pipe[1])
    first.cancel()
    assert (await second).get_secret_value() == "s3cret"
    assert count() == 2
    os.close(pipe[1])


# What an error is


async def test_error_of_a_missing_secret(tmp_path: Path) -> None:
    """A secret that can't be had ends the account and tells what and the remedy."""
    error = await refusal_of(written(tmp_path, b""))
    assert (error.reaction, error.kind, error.errcode) == (Reaction.ACCOUNT, CallKind.TOKEN, None)
    assert error.hint == str(error) == f"{error.errmsg}: {error.remedy}"
    assert re.fullmatch(r"the file \S+ holds nothing", error.errmsg)


async def test_error_has_no_context(tmp_path: Path) -> None:
    for origin in (FromFile(tmp_path / "gone"), FromCommand(("/nowhere/x",)), shell("exit 1")):
        error = await refusal_of(origin)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
