"""The sizes that both ends of a carrier must agree on, in bytes unless the name says otherwise."""

# A payload up to this size travels inside its message; a larger one becomes a blob first.
INLINE_PAYLOAD_BYTES = 64 * 1024

# How blobs are cut on the link, on gRPC and on the runner's socket.
CHUNK_BYTES = 256 * 1024

# No link message or runner frame may be larger: a length beyond this is a peer speaking another language.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

# A runner's frame has far fewer lines of output. Of empty ones millions would fit, which take seconds to read.
MAX_FRAME_LINES = 16 * 1024

# Senders start a new batch beyond this, so that a batch of inline payloads stays far below the maximum.
BATCH_BYTES = 1024 * 1024

# Unconsumed messages a stream's sender may have under way before it waits for credit.
STREAM_WINDOW_MESSAGES = 64

# A container of one function may run so many inputs at the same time, those of batches included.
MAX_INPUTS_AT_ONCE = 10_000

# The first input of a batch waits no longer for others.
MAX_BATCH_WAIT_SECONDS = 60.0

DEFAULT_GRPC_PORT = 50051
DEFAULT_HTTP_PORT = 50080
