"""Comparing trials and studies: tables, filters, and what differs."""
