"""The Python client of the service; independent of the server's modules."""
