"""Verbs on an exported folder: predict with it, test it, refresh it with new data."""
