"""Looking into media files: probing headers, decoding once for all operators."""
