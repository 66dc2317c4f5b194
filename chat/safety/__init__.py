"""What keeps the assistant's faces safe: bounds, picture doors, addresses, files, keys."""
