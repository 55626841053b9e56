"""The network's parts: encoder, decoder base, layers, attention, neck."""
