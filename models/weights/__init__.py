"""Weights from elsewhere: a safe reader, names of other libraries, encoders that ship."""
