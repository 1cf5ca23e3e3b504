"""The parts of the shop's API."""
