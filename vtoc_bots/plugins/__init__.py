"""Plugins that ship with the framework; each is a plugin like any other."""
