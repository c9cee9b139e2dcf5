"""The REST API of billing: parse, call one service or selector, answer."""
