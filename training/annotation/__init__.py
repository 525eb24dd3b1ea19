"""What annotation rests on: marker tables made, datasets read, confidence calibrated."""
