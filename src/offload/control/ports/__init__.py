"""What the services expect of the outside."""
