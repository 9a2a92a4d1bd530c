"""The roll-up of a claim."""
