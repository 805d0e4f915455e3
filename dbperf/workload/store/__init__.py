"""The history of a workload, in one SQLite file or in a PostgreSQL database that a fleet of processes shares.

Every process that writes owns its rows and writes absolute counts into them, so writers need no
coordination, and what is written twice, or merged twice, counts once. Windows of a minute are rolled up into
hours and days.
"""
