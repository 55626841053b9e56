"""Who may enter, who waits, what the network sees together, and when it ends."""
