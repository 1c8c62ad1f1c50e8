"""What the addresses answer, for `/studio/openapi.json`. Bytes are whole numbers, times are seconds since 1970."""
