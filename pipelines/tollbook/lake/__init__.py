"""The lake: immutable Parquet files, and the manifests that say which of them count."""
