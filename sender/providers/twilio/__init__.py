"""Twilio Programmable Messaging."""
