"""Web endpoints in a container: the user's apps and functions, driven by requests that come as inputs.

An endpoint takes the head of a request and returns the result of its input: the whole response, or nothing where the response has
gone out through an exchange. Standard library only; what a user's app needs is the user's.
"""
