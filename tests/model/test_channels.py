"""The table of channels."""

from datetime import date

from collector.model.channels import CHANNELS


def test_codes_and_names_are_unique() -> None:
    assert list(CHANNELS) == sorted(channel.code for channel in CHANNELS.values())
    assert len({channel.chinese for channel in CHANNELS.values()}) == len(CHANNELS)


def test_other_is_a_channel_among_others() -> None:
    assert CHANNELS[0].chinese == "其他合计"


def test_codes_that_never_got_a_name() -> None:
    """They go by their number."""
    assert not CHANNELS.keys() & {2, 4, 5, 10, 11}


def test_changes_of_wechat() -> None:
    changes = {code: (channel.begin, channel.end) for code, channel in CHANNELS.items() if channel.begin or channel.end}
    assert changes == {
        51: (None, date(2023, 5, 31)),
        100: (date(2020, 6, 1), None),
        161: (date(2020, 4, 1), None),
        176: (date(2020, 6, 1), None),
    }
