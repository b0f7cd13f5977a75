"""Use cases: the only place where records meet the engine and the statement readers.

Views, the API and the commands call exactly these. Each one that changes something takes the ``Actor`` it acts for,
writes its events in the same transaction, and raises ``Refused`` with a message for a person when it will not.
"""
