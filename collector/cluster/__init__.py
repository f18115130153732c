"""A run spread over worker processes, of one host or of several, by Dask."""
