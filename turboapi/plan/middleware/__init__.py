"""Middleware around compiled routes.

A request of a compiled route goes through layers, outermost first, down to the
route. A layer gives its response as a value, so that one that was never in pieces
is sent in one piece, or sends it as ASGI messages.
"""
