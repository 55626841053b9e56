"""Inspection: findings, problems, leakage, the report of `maskzoo inspect`."""
