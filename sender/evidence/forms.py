"""The evidence as a document for machines."""

from dataclasses import asdict
from typing import Any

from sender.evidence.consent_record import consent_records
from sender.evidence.records import Evidence


def evidence_document(evidence: Evidence, *, limitation_years: int) -> dict[str, Any]:
    """Return all of the evidence, and the consent records in the form of ISO/IEC TS 27560."""
    document = asdict(evidence)
    for internal in ("subject_ref", "hold_months"):
        del document[internal]
    document["consent_records"] = consent_records(evidence, limitation_years=limitation_years)
    return document
