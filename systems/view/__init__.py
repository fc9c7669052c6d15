"""The view: draws copies of the world's state, never touches it."""
