"""Take addresses out of text that outlives an erasure. Pure."""

import re
from typing import Final

_ADDRESS: Final = re.compile(
    r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"  # e-mail, also as it stands in a link
    r"|(?:\+|%2B)\d(?:[ ().-]{0,2}\d){7,14}(?!\d)"  # a number with its country
    r"|(?<!\d)07(?:[ ().-]{0,2}\d){9}(?!\d)",  # a British mobile number as people write it
    re.IGNORECASE,
)
_IN_ITS_PLACE: Final = "[address]"


def without_addresses(text: str) -> str:
    """Return the text with `[address]` in place of each e-mail address and telephone number.

    Where and how somebody agreed or refused stays in the ledger for good, under its hash chain. An
    address written there would be found again after its person's erasure; their row knows it by
    its hash anyway. Names are not known here.
    """
    return _ADDRESS.sub(_IN_ITS_PLACE, text)
