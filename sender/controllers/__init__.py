"""Controllers: their files, versions, sender identities, accounts, freezes and declarations."""
