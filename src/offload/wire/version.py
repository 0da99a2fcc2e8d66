"""The versions two processes compare before they talk."""

PACKAGE_VERSION = "0.1.0"

# Raised when a change of the schema or of the frames would be misunderstood by an older peer.
PROTOCOL_VERSION = 1
