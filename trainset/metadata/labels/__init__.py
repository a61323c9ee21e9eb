"""Label formats: one file a format, from its bytes to records."""
