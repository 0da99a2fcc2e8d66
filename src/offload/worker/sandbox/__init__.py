"""The sandbox as data: from a container spec to an argument list."""
