"""Rows by the million between Arrow and the database."""
