"""Keeps the record."""
