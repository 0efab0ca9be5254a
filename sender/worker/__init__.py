"""The distributed worker: carries on whatever runs there are, and keeps house."""
