"""A small web shop on SQLAlchemy 2 and PostgreSQL, with the mistakes real applications have.

`models` holds the tables, `load` fills them, `sync` and `aio` hold what a page of the shop asks the database
for, and `traffic` is a day of customers, the same at every run. What is wrong with it is what dbperf finds:
foreign keys without an index, filters and sorts without one, a lazy load in a loop, a deep OFFSET, a function
around a column. Some pages are fine as they are, so that a tool has to know the difference.
"""
