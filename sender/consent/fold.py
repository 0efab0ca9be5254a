"""Fold the consent events of one controller, purpose and address into its state; pure.

- A no beats a yes of the same time or earlier.
- An imported yes never beats a no that was recorded before it, whatever date the file claims.
- Among the yeses that stand, the latest without a flaw counts; a flawed one only tells why not.
- A yes of an import that was revoked never stands. One that waits for approval is not looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sender.consent.policy import ConsentView
from sender.vocabulary import ConsentFlaw, ConsentKind

_SEVERITY = {
    ConsentKind.INVALIDATED: 1,
    ConsentKind.REFUSED: 2,
    ConsentKind.WITHDRAWN: 3,
    ConsentKind.OBJECTED: 4,
}


@dataclass(frozen=True, slots=True)
class EventView:
    """What the fold looks at in one consent event; `event_id` rises in the order of recording.

    `revoked` says that its import was found to be bad.
    """

    event_id: int
    kind: ConsentKind
    occurred_at: datetime
    imported: bool
    flaw: ConsentFlaw = ConsentFlaw.NONE
    ends_at: datetime | None = None
    notice_shown_from: datetime | None = None
    revoked: bool = False

    @property
    def is_yes(self) -> bool:
        """Whether it may stand."""
        return self.kind.is_affirmative and not self.revoked


def fold(events: Iterable[EventView]) -> ConsentView | None:
    """Return the state that the events amount to; None when there are none."""
    known = list(events)
    if not known:
        return None
    negatives = [event for event in known if event.kind.is_negative]
    standing = [
        event for event in known if event.is_yes and not any(beats(no, event) for no in negatives)
    ]
    if standing:
        return _affirmed(standing)
    if negatives:
        deciding = max(negatives, key=lambda no: (no.occurred_at, _SEVERITY[no.kind], no.event_id))
        return _denied(deciding, known)
    return _denied(max(known, key=lambda event: event.event_id), known)


def beats(no: EventView, yes: EventView) -> bool:
    """Whether a negative event outweighs an affirmative one."""
    if yes.imported and no.event_id < yes.event_id:
        return True
    return no.occurred_at >= yes.occurred_at


def _affirmed(standing: Sequence[EventView]) -> ConsentView:
    relied_on = max(
        standing,
        key=lambda yes: (yes.flaw is ConsentFlaw.NONE, yes.occurred_at, yes.event_id),
    )
    return ConsentView(
        status=relied_on.kind,
        event_id=relied_on.event_id,
        last_affirmative_at=relied_on.occurred_at,
        ends_at=relied_on.ends_at,
        flaw=relied_on.flaw,
        notice_shown_from=relied_on.notice_shown_from,
    )


def _denied(deciding: EventView, known: Sequence[EventView]) -> ConsentView:
    affirmed = [event.occurred_at for event in known if event.is_yes]
    return ConsentView(
        status=ConsentKind.INVALIDATED if deciding.revoked else deciding.kind,
        event_id=deciding.event_id,
        last_affirmative_at=max(affirmed, default=None),
        flaw=ConsentFlaw.NONE,
    )
