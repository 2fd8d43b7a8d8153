"""The operations of the HTTP API, one module a noun."""
