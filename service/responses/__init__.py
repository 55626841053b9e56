"""The forms of an answer: one label-run structure feeds every dialect."""
