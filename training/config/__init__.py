"""The settings of a run: schema, presets, overrides."""
