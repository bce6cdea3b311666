"""The part of botocore that is used; it ships no types."""
