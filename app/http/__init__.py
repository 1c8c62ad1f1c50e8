"""Addresses: the server and its routes."""
