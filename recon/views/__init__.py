"""Pages: function views, one domain call each."""
