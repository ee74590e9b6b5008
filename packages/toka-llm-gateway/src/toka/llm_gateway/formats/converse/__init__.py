"""Amazon Bedrock's Converse format."""
