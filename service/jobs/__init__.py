"""Jobs: images too large for one request, segmented in the background."""
