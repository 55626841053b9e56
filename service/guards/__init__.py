"""What stands before the routes: headers and sizes, API keys, rates."""
