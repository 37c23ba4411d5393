"""Models: what their families know, and the graph of any of them."""
