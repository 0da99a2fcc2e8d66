"""What may pass the budgets, and why. This list only shrinks."""

# "path" or "path::function" → the reason
ALLOWED: dict[str, str] = {}
