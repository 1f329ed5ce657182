"""Pure functions between the client's values and the messages of the contract."""
