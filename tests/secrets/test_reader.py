import asyncio
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from origins import LEAK, refusal_of, shell, shown, value_of, written
from support import FakeClock

from collector.breakers import MAX_FAILURES, PROBE_EVERY_S
from collector.errors import CommandTimeoutError, OpenFilesError, OriginError, PostponedError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import FromCommand, FromCredential, FromFile, Secret
from collector.secrets import commands, reader
from collector.secrets.commands import MAX_BYTES
from collector.secrets.reader import MAX_COMMANDS, Secrets

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


# Limits


async def test_max_commands(tmp_path: Path) -> None:
    script = 'touch "$0/$$"; ls "$0" | wc -l >>"$0.most"; sleep 0.05; rm "$0/$$"; echo x'
    (tmp_path / "now").mkdir()
    secrets = Secrets()
    await asyncio.gather(*(secrets.output_of(("sh", "-c", script, str(tmp_path / "now"))) for _ in range(20)))
    most = max(int(line) for line in (tmp_path / "now.most").read_text().split())
    assert 1 < most <= MAX_COMMANDS


SLOW = ("sh", "-c", 'echo >>"$0"; sleep 60')


async def opened(secrets: Secrets, count: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the breaker of `sh` by commands that take too long."""
    monkeypatch.setattr(commands, "COMMAND_S", 0.05)
    for error in [CommandTimeoutError] * (MAX_FAILURES - 1) + [PostponedError]:
        with pytest.raises(error, match=r"the command sh took longer than 0\.05 s"):
            await secrets.output_of((*SLOW, str(count)))


async def test_breaker_of_a_program(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose commands all take too long is started every 15 s alone, until one of them answers."""
    secrets, count = Secrets(monotonic=clock.monotonic), tmp_path / "count"
    await opened(secrets, count, monkeypatch)
    for started in (MAX_FAILURES, MAX_FAILURES + 1):
        for _ in range(3):
            with pytest.raises(PostponedError, match="the command sh took longer than"):
                await secrets.output_of((*SLOW, str(count)))
        assert len(count.read_bytes()) == started
        clock.instant += timedelta(seconds=PROBE_EVERY_S)
    monkeypatch.setattr(commands, "COMMAND_S", 30)
    assert await secrets.output_of(("sh", "-c", "echo s3cret")) == b"s3cret\n"


async def test_open_breaker_waits_for_no_slot(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller is postponed at once, though running commands take all slots."""
    monkeypatch.setattr(reader, "MAX_COMMANDS", 1)
    secrets, count = Secrets(monotonic=clock.monotonic), tmp_path / "count"
    await opened(secrets, count, monkeypatch)
    monkeypatch.setattr(commands, "COMMAND_S", 30)
    clock.instant += timedelta(seconds=PROBE_EVERY_S)
    probe = asyncio.create_task(secrets.output_of((*SLOW, str(count))))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(PostponedError):
            await secrets.output_of((*SLOW, str(count)))
    assert probe.cancel()
    await asyncio.wait([probe])


async def test_slow_command_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that took too long for one account is run again for the next one that needs its secret."""
    secrets, origin = Secrets(), shell('[ -s "$0" ] && echo s3cret || { echo >"$0"; sleep 60; }', str(tmp_path / "up"))
    monkeypatch.setattr(commands, "COMMAND_S", 0.5)
    with pytest.raises(CommandTimeoutError):
        await secrets.read(origin)
    monkeypatch.setattr(commands, "COMMAND_S", 30)
    assert await secrets.read(origin) == Secret("s3cret")


@contextmanager
def no_open_file_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_too_many_open_files(tmp_path: Path) -> None:
    """A secret that can't be read for want of an open file is read again, as nothing is wrong with it."""
    for origin in (written(tmp_path, b"s3cret"), shell("echo s3cret")):
        secrets = Secrets()
        with no_open_file_left(), pytest.raises(OpenFilesError, match="too many open files"):
            await secrets.read(origin)
        assert await secrets.read(origin) == Secret("s3cret")


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
    """A secret that is not available ends its account; the failure names the cause and the remedy."""
    error = await refusal_of(written(tmp_path, b""))
    assert (error.reaction, error.kind, error.errcode) == (Reaction.ACCOUNT, CallKind.TOKEN, None)
    assert error.hint == str(error) == f"{error.errmsg}: {error.remedy}"
    assert re.fullmatch(r"the file \S+ holds nothing", error.errmsg)


async def test_error_has_no_context(tmp_path: Path) -> None:
    for origin in (FromFile(tmp_path / "gone"), FromCommand(("/nowhere/x",)), shell("exit 1")):
        error = await refusal_of(origin)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
