"""What monitoring is told: counts and ages, never anything about a person."""
