"""Calls to WeChat: client, tokens, limits, errcodes."""
