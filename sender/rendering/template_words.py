"""What a template says whoever the recipient is: its words, with every branch, without code."""

import re
from typing import Final

_CODE: Final = re.compile(r"\{#.*?#\}|\{%.*?%\}", re.DOTALL)
_VALUE: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def words_of_template(source: str) -> str:
    """Return the source with its code taken out, and a stroke where a value would stand."""
    return _VALUE.sub("-", _CODE.sub(" ", source))
