"""What people and machines read of a certificate. Everything here is written from its data alone."""
