"""The Django project and the reconciliation app. Importing this package loads no Django."""
