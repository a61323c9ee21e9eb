"""Tables as files: CSV, JSON, JSON Lines, Parquet and Excel, one a file, as chunks of records.

What the fields of a record mean is decided in ``layout``; here is only how they are written down.
"""
