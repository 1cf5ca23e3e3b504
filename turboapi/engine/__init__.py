"""Python's side of the engine: loading, lanes, the turn of the loop, lifespan, signals, settings."""
