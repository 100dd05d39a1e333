"""Speech corpora: one module each with its labels, file names, published counts and license."""
