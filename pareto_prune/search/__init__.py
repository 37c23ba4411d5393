"""What is tried next: the space, samplers, starters, early stopping."""
