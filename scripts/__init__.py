"""What people and CI run in a checkout: set up the machine, fetch test videos, run a local Kafka. Standard library only."""
