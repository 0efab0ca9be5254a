import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.rendering.segments import SegmentCount, SmsEncoding, count_segments, not_gsm

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "segment_vectors.json").read_text()
)["vectors"]
BITS = {SmsEncoding.GSM_7: 7, SmsEncoding.UCS_2: 16}


def test_agrees_with_the_independent_counter() -> None:
    assert len(VECTORS) > 300
    for vector in VECTORS:
        count = count_segments(vector["body"])
        ours = (count.encoding.value, count.parts, count.units * BITS[count.encoding])
        assert ours == (vector["encoding"], vector["parts"], vector["bits"]), vector["body"]


@pytest.mark.parametrize(
    ("body", "encoding", "parts", "units"),
    [
        ("a" * 160, SmsEncoding.GSM_7, 1, 160),
        ("a" * 161, SmsEncoding.GSM_7, 2, 161),
        ("€" * 80, SmsEncoding.GSM_7, 1, 160),
        ("a" * 152 + "€" + "b" * 152, SmsEncoding.GSM_7, 3, 306),
        ("a" * 151 + "€" + "b" * 153, SmsEncoding.GSM_7, 2, 306),
        ("я" * 70, SmsEncoding.UCS_2, 1, 70),
        ("я" * 66 + "😀" + "я" * 66, SmsEncoding.UCS_2, 3, 134),
        ("я" * 65 + "😀" + "я" * 67, SmsEncoding.UCS_2, 2, 134),
        ("\t", SmsEncoding.UCS_2, 1, 1),
    ],
)
def test_pairs_do_not_straddle_parts(
    body: str, encoding: SmsEncoding, parts: int, units: int
) -> None:
    assert count_segments(body) == SegmentCount(encoding, parts, units)


@pytest.mark.parametrize("character", ["ç", "`", "\t", "\u00a0", "\u2019", "\u201c"])
def test_lookalikes_are_not_gsm(character: str) -> None:
    assert not_gsm(f"a{character}") == {character}


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=40))
def test_longer_text_never_has_fewer_parts(body: str, more: str) -> None:
    assert count_segments(body + more).parts >= count_segments(body).parts
