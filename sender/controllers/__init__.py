"""Controllers: who instigates messages, their identities, provider accounts and declarations."""
