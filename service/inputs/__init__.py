"""What a request brings: forms, raw bodies, JSON, addresses, georeferences."""
