"""Tools over the Model Context Protocol: what both the server and the client are made of."""
