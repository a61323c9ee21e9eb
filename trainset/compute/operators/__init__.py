"""The operators, one a file; ``compute.registry`` names them and loads one when it is asked for."""
