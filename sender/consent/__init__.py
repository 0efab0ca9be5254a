"""Who may be written to: policy, the consent ledger, notices, objections."""
