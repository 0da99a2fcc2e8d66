"""Keeps large content under its SHA-256."""
