"""Who is calling: turns a presented credential into verified claims."""
