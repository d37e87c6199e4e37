"""Readers of licensed data sets: from what their owners hand out to one common record a clip."""
