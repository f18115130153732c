from datetime import date

from collector.console.verify import MAX_ACCOUNTS, MAX_LINES, as_json, as_text, gaps_json, gaps_text
from collector.model.days import Days
from collector.model.findings import AccountFindings, AccountGaps, Break, Difference, Verified

MONTH = Days.between(date(2026, 10, 1), date(2026, 10, 31))
DAY = Days.of([date(2026, 11, 3)])
BROKEN = Break(date(2026, 11, 3), expected=1_217_056, found=1_217_060)
DIFFERING = AccountFindings(
    "wxa", "acme-shoes", {"user_summary": Difference(lost=MONTH | DAY), "user_cumulate": Difference(MONTH, DAY)}
)
DAMAGED = AccountFindings("wxb", "b", damaged=True)


def test_text_ends_with_the_next_step() -> None:
    """Differences by account and dataset, then the next step."""
    assert as_text(Verified(1200, [DIFFERING, DAMAGED])) == (
        "State and documents differ:\n"
        "acme-shoes (wxa)\n"
        "  user_summary   lost     2026-10-01 to 2026-10-31     31 days\n"
        "  user_summary   lost     2026-11-03\n"
        "  user_cumulate  lost     2026-10-01 to 2026-10-31     31 days\n"
        "  user_cumulate  unknown  2026-11-03\n"
        "b (wxb)\n"
        "  its state is damaged\n"
        "\n"
        "1,200 accounts verified, 2 to repair. "
        "Repair with `collector verify --repair`, then run `collector run` to fetch 32 days again."
    )


def test_text_after_a_repair() -> None:
    """The next step is the run that fetches the lost days."""
    assert as_text(Verified(2, [DIFFERING], repaired=True)).endswith(
        "\n\n2 accounts verified, 1 repaired. Now run `collector run` to fetch 32 days again."
    )
    assert as_text(Verified(1, [DAMAGED], repaired=True)).endswith("\n\n1 account verified, 1 repaired.")


def test_text_of_newer_states() -> None:
    """They are named with their remedy, and count neither as verified nor as something to repair."""
    newer = Verified(2, [AccountFindings("wxa", "acme", newer=True)], repaired=True)
    assert newer.exit == 3
    assert as_text(newer) == (
        "Not verified: a newer version of the collector wrote the state. Upgrade the collector on this host:\n"
        "  acme (wxa)\n"
        "\n"
        "1 account verified: state and documents agree."
    )


def test_text_without_findings() -> None:
    assert as_text(Verified(1200, [])) == "1,200 accounts verified: state and documents agree."


def test_breaks_and_foreign_documents() -> None:
    """They are listed, and there is nothing to repair."""
    found = AccountFindings("wxa", "acme-shoes", breaks=(BROKEN, Break(date(2026, 11, 4), 7, -5)), foreign=1)
    assert as_text(Verified(1, [found], foreign=2)) == (
        "Totals that aren't the day before's plus the net, as WeChat gave them:\n"
        "acme-shoes (wxa)\n"
        "  2026-11-02 to 2026-11-03       1,217,060 found,      1,217,056 expected,         +4\n"
        "  2026-11-03 to 2026-11-04              -5 found,              7 expected,        -12\n"
        "\n"
        "2 documents of user_daily aren't of the collector's form; they are left alone.\n"
        "\n"
        "1 account verified: state and documents agree."
    )
    assert "1 document of user_daily isn't" in as_text(Verified(1, [], foreign=1))


def test_text_has_a_maximum_length() -> None:
    """It says how many more breaks and accounts there are."""
    many = AccountFindings("wxa", "a", breaks=(BROKEN,) * (MAX_LINES + 12))
    lines = as_text(Verified(1, [many])).splitlines()
    assert lines[MAX_LINES + 2] == "  and 12 more"
    assert len(lines) == MAX_LINES + 5
    text = as_text(Verified(99, [DAMAGED] * (MAX_ACCOUNTS + 1)))
    assert "\nand 1 account more; --json has all\n" in text
    assert text.count("its state is damaged") == MAX_ACCOUNTS


def test_name_of_a_damaged_state() -> None:
    """It can't move the cursor."""
    assert "\x1b" not in as_text(Verified(1, [AccountFindings("wx\x1b[2J", "a\nb", damaged=True)]))


def test_json_has_all_findings() -> None:
    broken = AccountFindings("wxc", "c", breaks=(BROKEN,) * (MAX_LINES + 1), foreign=1)
    broken_json = {
        "ref_date": "2026-11-03",
        "before": "2026-11-02",
        "expected": 1_217_056,
        "found": 1_217_060,
        "difference": 4,
    }
    month, day = {"begin": "2026-10-01", "end": "2026-10-31"}, {"begin": "2026-11-03", "end": "2026-11-03"}
    assert as_json(Verified(9, [DIFFERING, DAMAGED, broken], foreign=3)) == {
        "exit": 3,
        "repaired": False,
        "database": "",
        "accounts": [
            {
                "account": "wxa",
                "name": "acme-shoes",
                "damaged": False,
                "newer": False,
                "datasets": {
                    "user_summary": {"lost": [month, day], "unknown": []},
                    "user_cumulate": {"lost": [month], "unknown": [day]},
                },
                "breaks": [],
                "foreign": 0,
            },
            {
                "account": "wxb",
                "name": "b",
                "damaged": True,
                "newer": False,
                "datasets": {},
                "breaks": [],
                "foreign": 0,
            },
            {
                "account": "wxc",
                "name": "c",
                "damaged": False,
                "newer": False,
                "datasets": {},
                "breaks": [broken_json] * (MAX_LINES + 1),
                "foreign": 1,
            },
        ],
        "totals": {
            "accounts": 9,
            "differing": 2,
            "damaged": 1,
            "newer": 0,
            "lost_days": 32,
            "unknown_days": 1,
            "breaks": MAX_LINES + 1,
            "foreign": 3,
        },
    }


GAPS = [
    AccountGaps("wxa", "acme-shoes", {"user_summary": DAY, "user_cumulate": MONTH}, {}, (BROKEN,), lost_days=1),
    AccountGaps("wxb", "b", {}, {"user_cumulate": DAY}),
    AccountGaps("wxc", "c", {"user_summary": MONTH | DAY}, unresolved=DAY),
]


def test_gaps_are_ranges() -> None:
    """Ranges of missing days; those that are perhaps quiet and void ones apart."""
    assert gaps_text(GAPS) == (
        "Missing:\n"
        "acme-shoes (wxa)\n"
        "  user_summary   2026-11-03\n"
        "  user_cumulate  2026-10-01 to 2026-10-31     31 days\n"
        "c (wxc)\n"
        "  user_summary  2026-10-01 to 2026-10-31     31 days\n"
        "\n"
        "Perhaps quiet, without a row of summary yet:\n"
        "c (wxc)\n"
        "  user_summary  2026-11-03\n"
        "\n"
        "Void between stored days, WeChat has nothing for them:\n"
        "b (wxb)\n"
        "  user_cumulate  2026-11-03\n"
        "\n"
        "Totals that aren't the day before's plus the net, as WeChat gave them:\n"
        "acme-shoes (wxa)\n"
        "  2026-11-02 to 2026-11-03       1,217,060 found,      1,217,056 expected,         +4\n"
        "\n"
        "1 missing day is taken for stored by mistake: repair with `collector verify --repair`."
    )
    assert gaps_text([]) == ""


def test_gaps_json_is_by_appid() -> None:
    assert gaps_json(GAPS) == {
        "wxa": {
            "missing": {
                "user_summary": [{"begin": "2026-11-03", "end": "2026-11-03"}],
                "user_cumulate": [{"begin": "2026-10-01", "end": "2026-10-31"}],
            },
            "void": {},
            "breaks": [
                {
                    "ref_date": "2026-11-03",
                    "before": "2026-11-02",
                    "expected": 1_217_056,
                    "found": 1_217_060,
                    "difference": 4,
                }
            ],
            "lost_days": 1,
            "unresolved": [],
        },
        "wxb": {
            "missing": {},
            "void": {"user_cumulate": [{"begin": "2026-11-03", "end": "2026-11-03"}]},
            "breaks": [],
            "lost_days": 0,
            "unresolved": [],
        },
        "wxc": {
            "missing": {
                "user_summary": [
                    {"begin": "2026-10-01", "end": "2026-10-31"},
                    {"begin": "2026-11-03", "end": "2026-11-03"},
                ]
            },
            "void": {},
            "breaks": [],
            "lost_days": 0,
            "unresolved": [{"begin": "2026-11-03", "end": "2026-11-03"}],
        },
    }


UNKNOWN = AccountFindings("wxc", "c", {"user_cumulate": Difference(unknown=DAY)})


def test_run_at_work_explains_unknown_days() -> None:
    """Unknown days may be the run's; lost days and damage are to be repaired."""
    again, repair = "verify again when it has ended.", "Repair with `collector verify --repair`"
    assert as_text(Verified(3, [UNKNOWN], at_work=True)).endswith(again)
    for found in (DIFFERING, DAMAGED):
        assert repair in as_text(Verified(3, [UNKNOWN, found], at_work=True))
    assert repair in as_text(Verified(3, [UNKNOWN]))


def test_json_with_a_run_at_work() -> None:
    assert as_json(Verified(3, [UNKNOWN], at_work=True))["at_work"] is True
    assert "at_work" not in as_json(Verified(3, [UNKNOWN]))


def test_text_names_the_database() -> None:
    """Before the next step, which stays the last line."""
    assert as_text(Verified(2, [], database="wechat on mongodb.internal")) == (
        "Database: wechat on mongodb.internal\n\n2 accounts verified: state and documents agree."
    )
