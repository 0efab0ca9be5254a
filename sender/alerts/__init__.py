"""The alarm: look whether something needs an operator, and tell them."""
