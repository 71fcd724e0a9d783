"""Keep a collection in step with its input: what stands is compared with each uri, and only what differs is made.

known ──► CompareUris ──► uris to fetch ──► ... ──► embeddings
               │                                        │
               └──► rows to read again ─────────────────┴──► rows that replace others ──► files without those
"""
