"""Proves who a caller is and counts what a key may use: session tokens, API keys, quotas, the usage file."""
