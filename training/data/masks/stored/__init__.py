"""Reading of mask files as stored."""
