"""What a function may ask of the runtime that runs it, and not every runtime can hold a container to.

A worker says which of these each of its runtimes has; a function is placed only where its runtime has all that it asks for.
"""

CPU_LIMIT = "cpu_limit"  # no more cores than so many, idle ones or not
BLOCK_NETWORK = "block_network"  # nothing but its own loopback
ALLOW_LIST = "allow_list"  # networks and names, and nothing else
EPHEMERAL_DISK = "ephemeral_disk"  # scratch of its own, of a size of its own
