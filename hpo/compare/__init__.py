"""Compares trials and studies: tables, filters, and differences in definitions."""
