from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.parts import ALL, Labels, Part, from_document, to_document
from collector.model.shards import Shard

APPIDS = [f"wx{number:016x}" for number in range(24)]
LABELS = ("hk", "sh", None)
HK, SH, NONE = (Labels(frozenset({label}), "one") for label in LABELS)

SHARDS = st.integers(1, 12).flatmap(lambda count: st.builds(Shard, st.integers(1, count), st.just(count)))
EGRESS = st.builds(Labels, st.frozensets(st.sampled_from(LABELS), min_size=1), st.sampled_from(("one", "two")))
LISTS = st.frozensets(st.sampled_from(APPIDS), max_size=4)
PARTS = st.builds(Part, st.none() | SHARDS, st.none() | EGRESS, st.none() | LISTS)


def _in_shard(number: int, count: int) -> str:
    return next(appid for appid in APPIDS if appid in Shard(number, count))


@pytest.mark.parametrize(
    ("one", "other", "disjoint"),
    [
        (ALL, ALL, False),
        (ALL, Part(Shard(1, 2)), False),
        (Part(Shard(1, 1)), Part(Shard(1, 2)), False),
        (Part(Shard(1, 2)), Part(Shard(1, 2)), False),
        (Part(Shard(1, 2)), Part(Shard(2, 2)), True),
        (Part(Shard(1, 2)), Part(Shard(2, 3)), False),
        (Part(Shard(1, 2)), Part(Shard(3, 4)), False),
        (Part(Shard(1, 2)), Part(Shard(4, 4)), True),
        (Part(Shard(1, 6)), Part(Shard(2, 4)), True),
        (Part(Shard(2, 6)), Part(Shard(4, 4)), False),
        (Part(egress=HK), Part(egress=HK), False),
        (Part(egress=HK), Part(egress=SH), True),
        (Part(egress=HK), Part(egress=NONE), True),
        (Part(egress=Labels(frozenset({"hk", None}), "one")), Part(egress=NONE), False),
        (Part(egress=HK), Part(egress=Labels(SH.labels, "two")), False),
        (Part(egress=HK), Part(Shard(1, 2)), False),
        (Part(egress=HK), Part(appids=frozenset(APPIDS[:1])), False),
        (Part(appids=frozenset(APPIDS[:2])), Part(appids=frozenset(APPIDS[2:4])), True),
        (Part(appids=frozenset(APPIDS[:2])), Part(appids=frozenset(APPIDS[1:3])), False),
        (Part(appids=frozenset({_in_shard(1, 2)})), Part(Shard(1, 2)), False),
        (Part(appids=frozenset({_in_shard(1, 2)})), Part(Shard(2, 2)), True),
        (Part(appids=frozenset({_in_shard(1, 2), _in_shard(2, 2)})), Part(Shard(2, 2)), False),
        (Part(Shard(1, 2), HK), Part(Shard(1, 2), SH), True),
        (Part(Shard(1, 2), HK), Part(Shard(2, 2), HK), True),
        (Part(Shard(1, 2), HK), Part(Shard(1, 2), HK), False),
        (Part(Shard(1, 2), HK), Part(Shard(2, 2)), True),
    ],
)
def test_disjoint(one: Part, other: Part, disjoint: bool) -> None:
    assert (one.is_disjoint(other), other.is_disjoint(one)) == (disjoint, disjoint)


def _accounts(part: Part, configurations: dict[str, dict[str, str | None]]) -> set[str]:
    """All appids in a part, where each configuration, by its digest, gives each appid its label."""
    return {
        appid
        for appid in APPIDS
        if (part.shard is None or appid in part.shard)
        and (part.egress is None or configurations[part.egress.digest][appid] in part.egress.labels)
        and (part.appids is None or appid in part.appids)
    }


@given(PARTS, PARTS, st.randoms())
def test_no_account_is_in_two_disjoint_parts(one: Part, other: Part, dice: Any) -> None:
    """Whatever labels two hosts' configurations give to the accounts."""
    configurations = {digest: {appid: dice.choice(LABELS) for appid in APPIDS} for digest in ("one", "two")}
    if one.is_disjoint(other):
        assert not _accounts(one, configurations) & _accounts(other, configurations)


def test_shards_that_overlap_have_a_hash_in_common() -> None:
    """The rule is exact: it keeps nobody out who could be at work."""
    shards = [Shard(number, count) for count in range(1, 13) for number in range(1, count + 1)]
    for one, other in product(shards, shards):
        hashes = range(one.count * other.count)
        common = any(each % one.count == one.number - 1 and each % other.count == other.number - 1 for each in hashes)
        assert Part(one).is_disjoint(Part(other)) is not common


@given(PARTS)
def test_part_survives_the_database(part: Part) -> None:
    assert from_document(to_document(part)) == part


SHARD = {"number": 1, "count": 2}


@pytest.mark.parametrize(
    "document",
    [
        None,
        "shard 1/2",
        [],
        {"shard": SHARD, "planet": "mars"},
        {"shard": SHARD | {"hash": "md5"}},
        {"shard": {"number": 3, "count": 2}},
        {"shard": {"number": 0, "count": 2}},
        {"shard": {"number": "1", "count": 2}},
        {"shard": {"number": 1}},
        {"shard": None, "appids": []},
        {"egress": {"labels": [], "digest": "one"}},
        {"egress": {"labels": ["hk", 7], "digest": "one"}},
        {"egress": {"labels": "hk", "digest": "one"}},
        {"egress": {"labels": ["hk"], "digest": None}},
        {"egress": {"labels": ["hk"], "digest": "one", "of": "two"}},
        {"appids": "wx0123456789abcdef"},
        {"appids": ["wx0123456789abcdef", 7]},
        {"appids": {"wx0123456789abcdef": 1}},
        {1: 2},
    ],
)
def test_unknown_or_damaged_part_is_all(document: object) -> None:
    assert from_document(document) == ALL


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (ALL, "all accounts"),
        (Part(Shard(1, 2)), "shard 1/2"),
        (Part(egress=Labels(frozenset({"sh", None}), "one")), "egress -, sh"),
        (Part(appids=frozenset({"wx2", "wx1"})), "2 chosen (wx1, wx2)"),
        (Part(appids=frozenset({"wx2", "wx1", "wx4", "wx3"})), "4 chosen (wx1, wx2, wx3, …)"),
        (Part(Shard(1, 2), HK, frozenset({"wx1"})), "shard 1/2, egress hk, 1 chosen (wx1)"),
    ],
)
def test_text(part: Part, text: str) -> None:
    assert str(part) == text
