"""Search for bodies that crash the parser with atheris, for as many seconds as the argument says.

`make fuzz` runs it. A body that breaks the rule is kept below `.hypothesis/atheris`; with its path as the argument it
is tried again.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from random import Random

ROOT = Path(__file__).parent.parent.parent
FOUND = ROOT / ".hypothesis" / "atheris"
SEEDED = 300
"""Hostile bodies in the first corpus, beside the recorded ones."""


def main() -> None:
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.stdout.write("atheris has no wheel for this machine: nothing was fuzzed\n")
        return
    with atheris.instrument_imports(include=["collector"]):
        rule = importlib.import_module("fuzz.test_answers").holds
    bodies = importlib.import_module("fuzz.bodies")

    def one(data: bytes) -> None:
        rule(data[1:], "user_summary" if data[:1] < b"\x80" else "user_cumulate")

    atheris.Setup([sys.argv[0], *_options(sys.argv[1], bodies)], one)
    atheris.Fuzz()


def _options(argument: str, bodies: object) -> list[str]:
    """Return libFuzzer's options: try one body again, or search from the seeds on."""
    if not argument.isdigit():
        return [argument]
    corpus, words = FOUND / "corpus", FOUND / "words"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(_seeds(bodies)):
        (corpus / f"seed-{number}").write_bytes(body)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in _words(bodies)))
    return [
        *(f"-max_total_time={argument}", f"-dict={words}", f"-artifact_prefix={FOUND}/", str(corpus)),
        *(
            "-max_len=4096",
            "-len_control=0",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=1",
        ),
    ]


def _seeds(bodies: object) -> list[bytes]:
    recorded: list[bytes] = vars(bodies)["RECORDED"]
    made = [vars(bodies)["HostileBodies"](Random(seed)) for seed in range(SEEDED)]
    summaries, totals = [hostile.summary() for hostile in made], [hostile.cumulate() for hostile in made]
    return [b"\0" + body for body in [*recorded, *summaries]] + [b"\xff" + body for body in [*recorded, *totals]]


def _words(bodies: object) -> list[str]:
    known = ["list", "errcode", "errmsg", "base_resp", "ret", "ref_date", "user_source", "new_user", "cancel_user"]
    days = [str(day) for day in vars(bodies)["DAYS"]]
    odd = [text for name in ("NUMBERS", "TEXTS", "OTHERS") for text in vars(bodies)[name] if 0 < len(text) < 40]
    return [f'"{word}"' for word in [*known, "cumulate_user", *days]] + odd


def _escaped(word: str) -> str:
    """Escape a word for a dictionary of libFuzzer."""
    return "".join(f"\\x{byte:02x}" for byte in word.encode(errors="surrogatepass"))


if __name__ == "__main__":
    main()
