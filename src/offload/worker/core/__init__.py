"""Decisions of the node without effects."""
