"""The JSON interface under /api/v1: operations, their description as OpenAPI 3.1, problems as RFC 9457."""
