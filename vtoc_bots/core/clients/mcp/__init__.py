"""Clients of MCP servers: programs started here or services reached by HTTP, whose tools playbooks may call."""
