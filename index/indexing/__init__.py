"""Folders of documents into a store: what changed is read, encoded and written, by several processes."""
