"""Any ASGI application on the engine: the parts of the protocol that run once and not per request."""
