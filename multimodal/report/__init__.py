"""``report``: the HTML page of one recording."""
