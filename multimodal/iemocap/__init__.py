"""The IEMOCAP experiment: features, folds, training, results."""
