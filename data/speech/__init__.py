"""Speech in audio: voice activity, utterances, speech-to-text."""
