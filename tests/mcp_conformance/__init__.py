"""What the official conformance suite of MCP needs: its tools, and the failures that are expected."""
