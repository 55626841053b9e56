"""The formats of an answer, all written from one structure of label runs."""
