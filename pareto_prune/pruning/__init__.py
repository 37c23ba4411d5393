"""Pruning: which units of a model stay (the plan), and the smaller model that holds only those."""
