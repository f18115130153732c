"""What is kept in MongoDB, and the only door to it."""
