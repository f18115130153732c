import asyncio
import os
from pathlib import Path

import pytest
from origins import LEAK, cancelled, ended, refusal_of, shell, shown, value_of, written

from collector.model.accounts import FromCommand
from collector.secrets import commands
from collector.secrets.reader import Secrets


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
