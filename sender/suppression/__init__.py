"""Who must not be written to: the suppression ledger, its blocks, personal opt-out tokens."""
