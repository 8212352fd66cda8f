"""Write start-up files into a site directory, and bundles to mount."""
