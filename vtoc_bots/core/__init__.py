"""The framework's own parts; plugins import `vtoc_bots`, never this package."""
