"""Load, ask the core, persist, act."""
