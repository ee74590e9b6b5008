"""One face to language models: Anthropic Messages and OpenAI chat completions over aiohttp."""
