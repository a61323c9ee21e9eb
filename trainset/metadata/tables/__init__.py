"""Syncing tables: rows in a source's own columns, kept up to date by key and cursor."""
