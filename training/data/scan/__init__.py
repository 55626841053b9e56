"""Facts of all files: each is read once, in parallel, or taken from an earlier inspection."""
