"""What goes on the image, as values: package lists, trimming rules, menus, archives. No effects."""
