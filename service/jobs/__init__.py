"""Images too large for one request: accepted, worked on in the background, fetched when done."""
