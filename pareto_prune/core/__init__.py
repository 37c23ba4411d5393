"""What everyone uses and nobody changes: records, configuration, errors, registries, the cache."""
