"""The service: bundles in, masks over HTTP out. Start with `service.app.create_app`."""
