"""Attempts at what a sandbox must refuse, made for real from inside a container: one catalogue, for tests and benchmark."""
