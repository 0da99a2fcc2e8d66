"""The services over the link, and the server's plain HTTP answers on the same port."""
