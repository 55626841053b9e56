"""`maskzoo key`: a new API key."""

from __future__ import annotations


def key() -> None:
    """Create an API key, and its hash for MASKZOO_API_KEYS."""
    from maskzoo.service.guards.keys import new_key

    made, hashed = new_key()
    print(f"key   {made}")
    print(f"hash  {hashed}   MASKZOO_API_KEYS='NAME={hashed}'")
