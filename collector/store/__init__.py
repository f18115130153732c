"""The documents in MongoDB. Nothing outside this package imports the driver."""
