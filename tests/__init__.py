"""unit: pure cores; contract: messages; integration: with a real Kafka and Redis; e2e: whole commands."""
