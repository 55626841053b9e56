"""Guards in front of the routes: headers and sizes, API keys, rate limits."""
