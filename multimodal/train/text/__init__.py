"""The text stage of training: batches and loss, calibration, the context head, and the command that joins them."""
