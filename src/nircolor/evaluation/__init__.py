"""Baselines and scorecards: what a colorizer must beat, and how it is told."""
