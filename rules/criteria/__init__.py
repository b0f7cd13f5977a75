"""The vocabulary of matching rules: fields, operators, drift, criterion, rule. Plain Python."""
