"""What the integration tests stand on: a real Bellhop process, receivers that misbehave to order, and a client of the API."""
