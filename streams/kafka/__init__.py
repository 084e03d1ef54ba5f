"""The edge to Kafka: topics, views, and the loops of router, sender and health around the rules in `core`."""
