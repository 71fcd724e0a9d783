"""The command `report-images`: a page about a collection, for a person who has a minute."""
