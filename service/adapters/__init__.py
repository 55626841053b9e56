"""Other services' protocols: thin translations to and from the one way of an image."""
