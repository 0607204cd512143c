"""DAM: a digital asset manager."""
