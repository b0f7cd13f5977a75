"""What people decide about matches and open items."""
