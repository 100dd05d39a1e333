"""The MOSI experiment: real people with voice, face and words, folds by video, networks, results."""
