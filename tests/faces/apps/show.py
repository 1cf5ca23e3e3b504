"""How handlers tell what they got: the exact type and repr of every value."""

from typing import Any


def seen(**values: Any) -> dict[str, list[str]]:
    """Each value as [type, repr]; a bool is no int, -0.0 is not 0.0."""
    return {name: [type(value).__name__, repr(value)] for name, value in values.items()}
