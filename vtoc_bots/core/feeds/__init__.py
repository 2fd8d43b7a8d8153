"""What every connector needs to read its source: transports, reconnecting, conflation, staleness, counting, replay."""
