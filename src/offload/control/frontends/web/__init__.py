"""The ingress: web requests from anywhere become inputs of the functions that answer them."""
