"""Models and data as they come in, and the tasks that they are for."""
