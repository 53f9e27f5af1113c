"""From bytes to usage events: an adapter a file, and what they share. No Beam."""
