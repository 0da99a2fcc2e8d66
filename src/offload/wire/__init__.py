"""What every process of offload shares: messages, their carriers, status codes and limits."""
