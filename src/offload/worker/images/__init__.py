"""Images: layers that are built step by step in sandboxes, kept by their digest, and shown to containers as their root."""
