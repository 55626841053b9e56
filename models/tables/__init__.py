"""The tables of what a network can be made of: a name and its class in each row."""
