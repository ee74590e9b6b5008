"""Google's Gemini format."""
