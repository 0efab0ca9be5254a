"""The constants of a campaign for its templates: `[values]`."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from sender.campaigns.sections import Section, describe
from sender.toml.lines import TomlKey

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PEOPLE_READ: Final = 'Write dates and times as people should read them: "Thursday 7 May".'


def parse_values(campaign: Section) -> Mapping[str, Any]:
    """Read `[values]`: text, numbers, true and false, and lists and tables of these."""
    written = campaign.table.get("values", {})
    if not isinstance(written, dict):
        campaign.refuse("values", f"must be a table, not {describe(written)}.")
        return {}
    _refuse_unusable(campaign, written, ("values",))
    return written


def _refuse_unusable(campaign: Section, value: object, key: TomlKey) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _IDENTIFIER.fullmatch(name):
                remedy = "Use letters, digits and _, so that templates can write it."
                campaign.refuse((*key, name), "cannot be used in a template.", remedy)
            _refuse_unusable(campaign, inner, (*key, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _refuse_unusable(campaign, inner, (*key, place))
    elif isinstance(value, float) and not isfinite(value):
        campaign.refuse(key, "must be a finite number.")
    elif not isinstance(value, str | int | float):
        campaign.refuse(key, f"must be text or a number, not {describe(value)}.", _PEOPLE_READ)
