"""What templates can name."""

from collections.abc import Mapping
from typing import Any

from sender.rendering.profile import Recipient, SenderProfile
from sender.rendering.text import CampaignText
from sender.rendering.values import CONFIRM_HOLE, OPT_OUT_HOLE, SOURCE_HOLE, Literal, one_line

ROOTS = frozenset({
    "recipient", "controller", "campaign", "values", "sender_name", "opt_out_url",
    "confirm_url", "third_party_source",
})  # fmt: skip
CONTROLLER_FIELDS = frozenset({
    "name", "kind", "needs_imprint", "postal_address", "contact_email", "contact_phone", "website",
    "privacy_notice_url", "promoter_name", "promoter_address", "on_behalf_of",
})  # fmt: skip
CAMPAIGN_FIELDS = frozenset({"name"})


def run_variables(
    profile: SenderProfile, text: CampaignText, *, sender_name: str
) -> dict[str, Any]:
    """Return what is the same for everybody; it goes into the skeleton as it is."""
    controller: dict[str, Any] = {
        name: _literal(getattr(profile, name)) for name in CONTROLLER_FIELDS & _texts(profile)
    }
    controller["kind"] = Literal(profile.kind.value)
    controller["needs_imprint"] = profile.kind.needs_imprint
    controller["on_behalf_of"] = [
        {"name": _literal(body.name), "postal_address": _literal(body.postal_address)}
        for body in profile.on_behalf_of
    ]
    return {
        "controller": controller,
        "campaign": {"name": _literal(text.campaign_name)},
        "values": _constant(text.values),
        "sender_name": _literal(sender_name),
        "opt_out_url": Literal(OPT_OUT_HOLE),
        "confirm_url": Literal(CONFIRM_HOLE),
    }


def variables_for(recipient: Recipient, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that one recipient's message can name."""
    variables = {**run, "recipient": recipient.fields}
    if recipient.third_party_source is not None:
        variables["third_party_source"] = Literal(SOURCE_HOLE)
    return variables


def _texts(profile: SenderProfile) -> set[str]:
    return {
        name for name in CONTROLLER_FIELDS
        if isinstance(getattr(profile, name, None), str)
    }  # fmt: skip


def _constant(value: Any) -> Any:
    """Return a constant of the campaign file, its texts as literals, whatever it is nested in."""
    if isinstance(value, str):
        return Literal(one_line(value))
    if isinstance(value, Mapping):
        return {name: _constant(inner) for name, inner in value.items()}
    return [_constant(inner) for inner in value] if isinstance(value, list) else value


def _literal(text: str) -> Literal:
    """Write an address of several lines on one, its lines set apart by commas."""
    lines = (line.strip().rstrip(",") for line in text.splitlines())
    return Literal(one_line(", ".join(line for line in lines if line)))
