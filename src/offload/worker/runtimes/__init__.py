"""Ways to run a container, behind the port `Runtime`."""
