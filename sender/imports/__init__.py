"""Bring people, their consent and their opt-outs in from files."""
