"""A folder instead of a provider: messages to look at, sent to nobody."""
