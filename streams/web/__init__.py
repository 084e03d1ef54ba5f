"""The edge to HTTP: what may be reached, one POST, the demo receiver, and each role's status page."""
