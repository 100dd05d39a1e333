"""Parts of the audio training: features, simulated recordings, the card."""
