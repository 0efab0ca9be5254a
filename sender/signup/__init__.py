"""Sign-up with double opt-in: forms, the confirmation that is sent, and the press that agrees."""
