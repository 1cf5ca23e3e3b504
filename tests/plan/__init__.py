"""Tests of the plan compiler, without the engine: `simulated` stands in for it."""
