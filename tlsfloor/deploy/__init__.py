"""What puts tlsfloor somewhere: start-up files in a site directory, and the folder to mount."""
