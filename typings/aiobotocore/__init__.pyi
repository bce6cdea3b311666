"""The part of aiobotocore that is used; it ships no types."""
