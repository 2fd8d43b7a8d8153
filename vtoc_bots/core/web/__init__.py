"""The HTTP server: health, metrics and the routes of plugins."""
