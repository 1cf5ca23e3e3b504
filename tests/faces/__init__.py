"""One application, asked through its own ASGI face and through the engine; the answers must be equal."""
