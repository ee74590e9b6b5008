"""OpenAI's chat completions format, and that of all who copy it."""
