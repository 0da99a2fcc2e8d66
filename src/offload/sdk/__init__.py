"""The client side: what users hold and how it reaches the server."""
