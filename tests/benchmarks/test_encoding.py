"""What is compared as JSON is the same JSON."""

from __future__ import annotations

import argparse
import json

import pytest

from benchmarks.encoding import UNUSUAL, by_hand, findings


def test_every_body_is_measured_beside_json() -> None:
    found = findings(["json"], argparse.Namespace(requests=1, rounds=1, seed=0))

    assert [table.operation for table in found.tables] == [
        "encode small",
        "encode 100 KB",
        "encode unusual",
        "decode small",
        "decode 100 KB",
    ]
    assert not any(table.judged for table in found.tables)


def test_the_unusual_body_is_one_that_json_refuses() -> None:
    with pytest.raises(TypeError):
        json.dumps(UNUSUAL)

    loan, *_ = json.loads(json.dumps(UNUSUAL, default=by_hand))["loans"]
    assert loan == {
        "number": "00000000-0000-0000-0000-000000000000",
        "since": "2026-01-01T12:00:00+00:00",
        "until": "2026-02-01",
        "fee": "1.25",
        "readers": ["reader"],
    }


def test_what_is_by_hand_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="object"):
        by_hand(object())
