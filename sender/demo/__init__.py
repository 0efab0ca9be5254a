"""A whole organisation to try things on: a party family, 5,000 people, two campaigns."""
