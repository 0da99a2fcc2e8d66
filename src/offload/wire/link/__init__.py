"""The link: every method of the schema over one WebSocket, many requests at once, with flow control."""
