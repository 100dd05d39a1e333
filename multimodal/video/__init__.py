"""Videos made of a recording: the overlay, clips and the reel."""
