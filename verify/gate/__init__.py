"""What CI calls: certify all that a project lists, and compare with a committed baseline."""
