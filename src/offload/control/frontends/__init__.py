"""Translate carriers into services; nothing else."""
