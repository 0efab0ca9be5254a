"""Who may do what: operators, their tokens, their roles."""
