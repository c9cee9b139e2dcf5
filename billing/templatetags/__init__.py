"""Filters for the templates of billing."""
