"""Files wherever they are: paths, copies between storage and the local disk, Cloud Storage, and the cache folder."""
