"""Addresses and people as one controller knows them."""
