"""Collects the follower figures of many WeChat official accounts into MongoDB."""

__version__ = "0.1.0"
