"""Which bundles there are, which are loaded, and what they are called."""
