"""The rule authoring app. Importing this package loads no Django."""
