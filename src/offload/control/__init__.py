"""The control plane: accepts calls, decides, and keeps the record."""
