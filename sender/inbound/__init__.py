"""What people and providers tell us back: replies, events, opt-outs."""
