"""The handlers of every schema method, shared by the link and gRPC."""
