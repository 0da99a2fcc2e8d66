"""Decisions without effects: no I/O, clock, randomness, logging or asyncio in here."""
