"""What people read: values, tables and links as text, cleaned of credentials and of what a terminal would obey."""
