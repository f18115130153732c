"""WeChat's side: calls, tokens, limits and what each errcode means."""
