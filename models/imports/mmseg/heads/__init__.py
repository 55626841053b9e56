"""The decode heads: which architecture each is, its options and its tensors' names."""
