"""What every service needs whatever it does: errors, settings, logs, metrics, health, ids, Kafka, consent."""
