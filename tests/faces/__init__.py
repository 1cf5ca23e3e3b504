"""One application, asked through its own ASGI face and through the engine; the answers must be equal.

    make test T=tests/faces
    FACES_EXAMPLES=500 .venv/bin/python -m pytest tests/faces/test_wild.py -k bodies

A new application goes into `apps/`: a function that makes it, under `@case` with the requests that show what it is
about. It then takes part in everything:

    test_apps      its requests, one after the other, on both transports; which of its routes must be compiled
    test_crowd     the same requests pipelined, in pieces, and from many clients at once
    test_wild      requests made from its OpenAPI schema, and its own requests spoiled
    test_options   every parameter of FastAPI's own functions that declare things occurs in some application
    test_bookshop  the examples

`both.py` asks, `oracle.py` is the application's own face, `client.py` the other end of the sockets, `reply.py` says
what counts as equal. Status, headers with order and duplicates, body and trace do; a server's own headers (date,
server, framing, connection) do not.
"""
