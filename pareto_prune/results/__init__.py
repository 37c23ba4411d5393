"""What came out: the front, how good it is, how to choose from it, tables and the page."""
