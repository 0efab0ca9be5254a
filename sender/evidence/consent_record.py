"""Consent records in the form of ISO/IEC TS 27560:2023, one for each purpose of a controller.

The four sections and their fields are those of clause 6: record header, processing of personally
identifiable information (PII), parties, events. Mandatory fields are always there. The states are
the words of the W3C Data Privacy Vocabulary for them, https://w3id.org/dpv; docs/evidence.md says
what each field is made of. What this program does not know it does not make up: where data are
stored is what the privacy notice says, and the language of a wording is `und` (BCP 47).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sender.evidence.records import ConsentRecord, Evidence, Party
from sender.vocabulary import Channel, ConsentKind

SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023"

STATES: Final[dict[ConsentKind, str]] = {
    ConsentKind.REQUESTED: "ConsentRequested",
    ConsentKind.GIVEN: "ConsentGiven",
    ConsentKind.RECONFIRMED: "RenewedConsentGiven",
    ConsentKind.REFUSED: "ConsentRefused",
    ConsentKind.WITHDRAWN: "ConsentWithdrawn",
    ConsentKind.OBJECTED: "ConsentWithdrawn",
    ConsentKind.INVALIDATED: "ConsentInvalidated",
}

_PII_TYPE: Final = {Channel.EMAIL: "EmailAddress", Channel.SMS: "TelephoneNumber"}


def consent_records(evidence: Evidence, *, limitation_years: int) -> list[dict[str, Any]]:
    """Return a record for each purpose that the person was asked for, in the order of asking.

    Args:
        evidence: of one controller on one address.
        limitation_years: how long the evidence is kept after the last message that relied on it.
    """
    own = [one for one in evidence.consents if one.controller == evidence.party.slug]
    purposes = dict.fromkeys(one.purpose for one in own)
    return [
        _record(evidence, purpose, [one for one in own if one.purpose == purpose], limitation_years)
        for purpose in purposes
    ]


def _record(
    evidence: Evidence, purpose: str, events: Sequence[ConsentRecord], limitation_years: int
) -> dict[str, Any]:
    name = f"{evidence.subject_ref}/{evidence.party.slug}/{purpose}"
    months = evidence.hold_months[purpose]
    return {
        "record_header": {
            "schema_version": SCHEMA_VERSION,
            "record_id": str(uuid5(NAMESPACE_URL, name)),
            "pii_principal_id": evidence.principal_id,
        },
        "pii_processing": _processing(evidence, purpose, events, limitation_years),
        "party_identification": [_party(evidence.party)],
        "events": [_event(evidence, one, months) for one in events],
    }


def _processing(
    evidence: Evidence, purpose: str, events: Sequence[ConsentRecord], limitation_years: int
) -> dict[str, Any]:
    wordings = [one.wording for one in events if one.wording is not None]
    privacy = wordings[-1].privacy_notice_url if wordings else evidence.party.privacy_notice_url
    return {
        "privacy_notice": privacy,
        "language": "und",
        "purposes": [
            {
                "purpose": purpose,
                "purpose_type": "DirectMarketing",
                "lawful_basis": events[-1].lawful_basis,
                "pii_information": [
                    {"pii_type": _PII_TYPE[evidence.channel], "pii_optional": False}
                ],
                "pii_controllers": [evidence.party.slug],
                "collection_method": ", ".join(dict.fromkeys(one.method for one in events)),
                "processing_method": f"messages by {evidence.channel}",
                "storage_locations": [privacy],
                "retention_period": f"P{limitation_years}Y",
                "jurisdiction": "GB",
                "recipient_third_parties": [],
                "withdrawal_method": (
                    "the personal opt-out in each message, or a word to the party contact"
                ),
                "privacy_rights": privacy,
            }
        ],
    }


def _party(party: Party) -> dict[str, Any]:
    return {
        "party_id": party.slug,
        "party_name": party.name,
        "party_address": party.postal_address,
        "party_email": party.email,
        "party_url": party.website,
        "party_phone": party.phone,
        "party_role": "pii_controller",
        "party_contact": party.email,
        "party_type": "organisation",
    }


def _event(evidence: Evidence, one: ConsentRecord, hold_months: int) -> dict[str, Any]:
    wording = one.wording
    return {
        "event_time": _iso(one.occurred_at),
        "validity_duration": _validity(one, hold_months),
        "entity_id": evidence.principal_id,
        "event_type": "ExpressedConsent",
        "event_state": STATES[one.kind],
        "recorded_time": _iso(one.recorded_at),
        "event_reference": one.event,
        "consent_notice": wording.notice if wording else None,
        "consent_wording": wording.wording if wording else None,
        "method": one.method,
        "source": one.source,
    }


def _validity(one: ConsentRecord, hold_months: int) -> str:
    """Return an ISO 8601 duration, or an interval where the consent has an end date."""
    if not one.counts:
        return "P0D"
    if one.ends_at is not None:
        return f"{_iso(one.occurred_at)}/{_iso(one.ends_at)}"
    return f"P{hold_months}M"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
