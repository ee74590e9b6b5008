"""Components: guests with typed imports and exports (the component model, WASI 0.2)."""
