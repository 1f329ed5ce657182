"""What the client takes and gives: frozen values and enums, without a trace of protobuf."""
