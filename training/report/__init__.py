"""The report of a run: tables, charts and images."""
