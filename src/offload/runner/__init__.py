"""The guest: runs a user's function inside its container. Standard library and cloudpickle only, CPython 3.9 or later."""
