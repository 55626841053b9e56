"""mmsegmentation's checkpoints: settings, layouts, backbones and heads in our terms."""
