"""What talks to a service from outside; nothing here knows the server's own parts."""
