"""The node: runs containers and feeds them inputs."""
