"""Proof: why somebody was written to, what was true on a day, and how long it is kept."""
