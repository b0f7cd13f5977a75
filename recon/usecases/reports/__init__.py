"""Figures over accounts: the overview, and how things stood at the end of a day."""
