"""The HTTP API: what OpenAI's clients speak, and the tools of the assistant as plain requests."""
