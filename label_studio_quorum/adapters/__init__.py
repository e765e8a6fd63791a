"""How Quorum reaches servers: Label Studio and the ML backend over HTTP, and people's own web sessions."""
