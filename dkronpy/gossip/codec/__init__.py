"""The wire format of memberlist and serf. Pure; whatever comes in is bounded, and what is wrong raises CodecError."""
