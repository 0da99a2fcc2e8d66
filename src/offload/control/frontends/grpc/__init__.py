"""The services over gRPC, for every other language and tool."""
