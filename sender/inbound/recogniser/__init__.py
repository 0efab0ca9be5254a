"""What a reply means: stop, start, help, perhaps a no, or something else; no database, no clock."""

from sender.inbound.recogniser.decision import Recognised, recognise
from sender.inbound.recogniser.keywords import exact_keyword

__all__ = ["Recognised", "exact_keyword", "recognise"]
