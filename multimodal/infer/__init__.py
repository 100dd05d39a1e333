"""``infer``: one recording in, one ``Analysis`` out."""
