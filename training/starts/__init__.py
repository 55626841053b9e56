"""What a run starts with: weights from a bundle or an encoder's, what is new, what is frozen."""
