"""What leaves the house and what is done with it."""
