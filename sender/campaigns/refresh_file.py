"""What a campaign file must say, and must not, to ask people to reconfirm."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sender.campaigns.files import SourceText
from sender.campaigns.sections import Section
from sender.vocabulary import CampaignKind

if TYPE_CHECKING:
    from sender.campaigns.definition import CampaignDefinition

_LINK: Final = re.compile(r"\bconfirm_url\b")


def check_refresh(campaign: Section, definition: "CampaignDefinition") -> None:
    """Refuse a refresh campaign without its link, and the link in any other campaign.

    Each yes is to one controller (guidance ¶26), and research carries no link but the opt-out
    (¶20).
    """
    if definition.audience.expiring_within is None:
        _refuse_link(campaign, definition)
        return
    for name, text in (("template", definition.template), *_own_text(definition)):
        if not _LINK.search(text.text):
            campaign.refuse(
                name,
                "lacks the link by which people reconfirm.",
                "Write {{ confirm_url }} into it; [audience] expiring_within asks for it.",
            )
    if definition.on_behalf_of:
        campaign.refuse(
            "on_behalf_of",
            "cannot stand in a file with expiring_within.",
            "People reconfirm to one controller: write one file for each.",
        )
    if definition.kind is not CampaignKind.MARKETING:
        campaign.refuse("kind", "must be marketing: to ask for consent is marketing.")


def _refuse_link(campaign: Section, definition: "CampaignDefinition") -> None:
    shared = [("layout", definition.layout)] if definition.layout else []
    for name, text in (("template", definition.template), *_own_text(definition), *shared):
        if _LINK.search(text.text):
            campaign.refuse(
                name,
                "has a confirm link, which works in a campaign with expiring_within alone.",
                'Add [audience] expiring_within = "60d", or take {{ confirm_url }} out.',
            )


def _own_text(definition: "CampaignDefinition") -> Iterator[tuple[str, SourceText]]:
    if definition.text_template is not None:
        yield "text_template", definition.text_template
