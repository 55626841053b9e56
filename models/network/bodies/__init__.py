"""Bodies of encoders whose network in timm is no feature pyramid, or runs at one size only.

pyramid.py    features of one or a few strides -> strides 4, 8, 16, 32 (the neck)
tokens.py     maps of a plain transformer as they are, with its class token
early.py      features after the first block of a stage
windows.py    images of any size for a network of one size, window by window
probes.py     what was found out by running a network, kept for the next one like it
body.py       both around a network of timm, and what that network can do by itself
"""
