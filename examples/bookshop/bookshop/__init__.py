"""A bookshop's API."""
