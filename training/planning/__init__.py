"""From settings and data to a plan: every value that was "auto", with its reason."""
