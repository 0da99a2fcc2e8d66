"""What may pass the budgets and the bans, and why. These lists only shrink."""

# "path" or "path::function" → the reason
ALLOWED: dict[str, str] = {}

# "path" → the reason why its text names what puts a test to sleep
SLEEPERS: dict[str, str] = {
    "tests/unit/runner/test_cancel.py": "a function of the user that sleeps is what is interrupted",
}
